"""`mimbench reconstruct`: a picture of what a pixel-predicting checkpoint restores."""

import json
from pathlib import Path
from typing import Any

import click

from mim_backbones.console.options import backbone_option


@click.command()
@click.argument('checkpoint', type=click.Path(path_type=Path))
@click.argument('images', type=click.Path(path_type=Path))
@click.option('--out', type=click.Path(path_type=Path), default='reconstruction.png')
@click.option(
    '--count', type=click.IntRange(1), default=5, show_default=True,
    help='Images taken from a folder.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True, help='Of the masks.')
@click.option('--scale', type=click.IntRange(1), help='Enlarge each pixel this many times.')
@click.option(
    '--config', type=click.Path(path_type=Path),
    help='Recipe of a checkpoint that tools/train.py did not write.',
)  # fmt: skip
@backbone_option
@click.option('--json', 'as_json', is_flag=True, help='Print what was drawn as JSON.')
def reconstruct(
    checkpoint: Path, images: Path, out: Path, count: int, seed: int, scale: int | None,
    config: Path | None, backbone: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    """Original, masked and restored image, one row each.

    IMAGES is one image or a folder of them. A checkpoint without its head gives a warning, and a
    picture of what it is shown, without predictions. Of a target that normalises pixels by their
    surroundings, the picture takes the surroundings from the original.

    \b
    Examples:
      mimbench reconstruct work_dirs/simmim/epoch_800.pth data/imagenet/val --out simmim.png
      mimbench reconstruct work_dirs/demo/epoch_16.pth cat.jpg --scale 2
      mimbench reconstruct simmim_pretrain__swin_base__img192_window6__800ep.pth cat.jpg \\
        --config configs/pretrain/simmim.py

    \b
    Exit codes: 0 drawn; 2 the checkpoint or the images cannot be used, or nothing can be drawn.
    """
    from mim_backbones.console.atomic_file import check_writable, write_atomically
    from mim_backbones.training.config import read_config
    from pretrain.images.decode import choose_images, load_images
    from pretrain.inspect.reconstruction import load_drawable, reconstruction_picture

    check_writable(out.absolute().parent)
    recipe = read_config(config) if config else None
    model, masker, missing = load_drawable(checkpoint, recipe, backbone)
    if missing:
        more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
        click.echo(
            f'mimbench: warning: checkpoint {checkpoint} lacks {missing[0]}{more}: without its '
            'decoder it predicts nothing; drawn without predictions',
            err=True,
        )
    files = choose_images(images, count)
    batch = load_images(files, model.img_size)
    picture = reconstruction_picture(model, masker, batch, seed, scale, predicts=not missing)
    write_atomically(out, lambda stream: picture.save(stream, format='PNG'))
    if as_json:
        record = {'written': str(out), 'method': type(model).__name__, 'images': files}
        click.echo(json.dumps({**record, 'seed': seed, 'missing': missing}, indent=2))
    else:
        click.echo(out)
