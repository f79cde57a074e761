"""`mimbench reconstruct`: a picture of what a pixel-predicting checkpoint restores."""

import json
from pathlib import Path
from typing import Any

import click

from mim_backbones.console.options import backbone_option, warn, warn_skipped


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
@click.option(
    '--norm-pix/--no-norm-pix', default=None,
    help='Of MAE, where the file does not say: whether patches are normalised each by itself.',
)  # fmt: skip
@click.option(
    '--decoder-heads', type=click.IntRange(1), help='Of MAE, where the file does not say.'
)
@click.option(
    '--decode-from', type=click.IntRange(0),
    help='Of D2-MAE, where the file does not say: the block that is decoded, from 0.',
)  # fmt: skip
@backbone_option
@click.option('--json', 'as_json', is_flag=True, help='Print what was drawn as JSON.')
def reconstruct(
    checkpoint: Path, images: Path, out: Path, count: int, seed: int, scale: int | None,
    config: Path | None, norm_pix: bool | None, decoder_heads: int | None,
    decode_from: int | None, backbone: dict[str, Any], as_json: bool,
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
      mimbench reconstruct mae_pretrain_vit_base_full.pth cat.jpg --norm-pix
      mimbench reconstruct mae_hiera_base_224.pth cat.jpg

    \b
    Exit codes: 0 drawn; 2 the checkpoint or the images cannot be used, or nothing can be drawn.
    """
    import torch

    from mim_backbones.training.config import read_config
    from pretrain.images.decode import choose_images, load_readable, unreadable
    from pretrain.inspect.pictures import check_picture, check_size, write_picture
    from pretrain.inspect.reconstruction import (
        COLUMNS,
        fitting_scale,
        load_drawable,
        reconstruction_picture,
    )

    check_picture(out)
    given = {'norm_pix': norm_pix, 'decoder_heads': decoder_heads, 'decode_from': decode_from}
    options = {key: value for key, value in given.items() if value is not None}
    recipe = read_config(config) if config else None
    model, masker, missing = load_drawable(checkpoint, recipe, backbone, options)
    if missing:
        more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
        warn(
            f'checkpoint {checkpoint} lacks {missing[0]}{more}, which {type(model).__name__} '
            'predicts with; drawn without predictions'
        )
    files = choose_images(images, count)
    side = model.img_size
    check_size(len(COLUMNS) * len(files), (side, side), scale or fitting_scale(side))
    read = load_readable(files, side)
    warn_skipped(unreadable(files, read))
    batch = torch.stack([*read.values()])
    picture = reconstruction_picture(model, masker, batch, seed, scale, predicts=not missing)
    write_picture(out, picture)
    if as_json:
        record = {'written': str(out), 'method': type(model).__name__, 'images': [*read]}
        click.echo(json.dumps({**record, 'seed': seed, 'missing': missing}, indent=2))
    else:
        click.echo(out)
