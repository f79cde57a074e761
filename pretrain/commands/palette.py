"""`mimbench palette`: the colours that SimMIM's colour-cluster target sorts pixels into."""

import json
from pathlib import Path

import click

from mim_backbones.console.options import warn_skipped


@click.command()
@click.argument('images', type=click.Path(path_type=Path))
@click.option('--colours', type=click.IntRange(2, 65_536), default=512, show_default=True)
@click.option('--out', type=click.Path(path_type=Path), default='palette.json', show_default=True)
@click.option(
    '--pixels', type=click.IntRange(2, 50_000_000), default=400_000, show_default=True,
    help='Drawn from the images in equal parts.',
)  # fmt: skip
@click.option(
    '--count', type=click.IntRange(1), default=2000, show_default=True,
    help='Images taken from a folder, evenly.',
)  # fmt: skip
@click.option(
    '--img-size', type=click.IntRange(1, 4096), default=192, show_default=True,
    help='Side images are resized to.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True)
@click.option('--json', 'as_json', is_flag=True, help='Print the report as JSON.')
def palette(
    images: Path, colours: int, out: Path, pixels: int, count: int, img_size: int, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Fit a palette to a folder of images by k-means.

    The same images, options and seed give the same file. The file holds "centres", a list of
    [r, g, b] in [0, 1]; the target takes it, or image-gpt's kmeans_centers.npy, as
    target=dict(type='ColourClusters', palette=FILE, reduce=4).

    \b
    Examples:
      mimbench palette data/imagenet/train --out palette.json
      mimbench palette photos --colours 64 --pixels 100000 --out small.json

    \b
    Exit codes: 0 written; 2 no readable images, too few colours in them, or OUT cannot be written.
    """
    from mim_backbones.console.atomic_file import check_writable, write_bytes_atomically
    from pretrain.images.decode import choose_images
    from pretrain.targets.palette import draw_pixels, fit_palette

    check_writable(out.absolute().parent)
    files = choose_images(images, count)
    with click.progressbar(
        files, label='reading images', file=click.get_text_stream('stderr')
    ) as bar:
        drawn, skipped = draw_pixels(bar, -(-pixels // len(files)), img_size, seed)
    warn_skipped(skipped)
    fitted = fit_palette(drawn, colours, seed)
    report = {
        'colours': colours,
        'images': len(files) - len(skipped),
        'pixels': len(drawn),
        'seed': seed,
        'steps': fitted.steps,
        'rms_error_of_255': round(255 * fitted.rms, 3),
    }
    content = {**report, 'centres': fitted.centres.round(6).tolist()}
    write_bytes_atomically(out, (json.dumps(content) + '\n').encode())
    if as_json:
        click.echo(json.dumps({**report, 'written': str(out)}, indent=2))
    else:
        click.echo(
            f'{colours} colours from {report["pixels"]} pixels of {report["images"]} images: a '
            f'pixel is {report["rms_error_of_255"]} levels off (rms)\nwritten to {out}'
        )
