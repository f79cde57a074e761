"""`mimbench reconstruct`: a picture of what a pixel-predicting checkpoint restores."""

from pathlib import Path

import click


@click.command()
@click.argument('checkpoint', type=click.Path(path_type=Path))
@click.argument('images', type=click.Path(path_type=Path))
@click.option('--out', type=click.Path(path_type=Path), default='reconstruction.png')
@click.option('--count', default=5, show_default=True, help='Images taken from a folder.')
@click.option('--seed', default=0, show_default=True, help='Of the masks.')
@click.option('--scale', default=1, show_default=True, help='Enlarge each pixel this many times.')
def reconstruct(
    checkpoint: Path, images: Path, out: Path, count: int, seed: int, scale: int
) -> None:
    """Original, masked and restored image, one row each.

    IMAGES is one image or a folder of them.

    \b
    Examples:
      mimbench reconstruct work_dirs/simmim/epoch_800.pth data/imagenet/val --out simmim.png
      mimbench reconstruct work_dirs/demo/epoch_16.pth cat.jpg --scale 2
    """
    from mim_backbones.atomic_file import write_atomically
    from mim_backbones.training.launch import check_writable
    from pretrain.reconstruction import choose_images, reconstruction_picture

    check_writable(out.absolute().parent)
    picture = reconstruction_picture(checkpoint, choose_images(images, count), seed, scale)
    write_atomically(out, lambda stream: picture.save(stream, format='PNG'))
    click.echo(out)
