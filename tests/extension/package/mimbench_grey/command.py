"""`mimbench brightness FILE`: a subcommand; nothing heavy is imported at its top."""

from pathlib import Path

import click


@click.command()
@click.argument('file', type=click.Path(path_type=Path))
def brightness(file: Path) -> None:
    """Mean grey level of an image, 0 to 1."""
    from PIL import Image

    from mim_backbones import UserError

    if not file.is_file():
        raise UserError(f'{file} is not there; give an image')
    click.echo(f'{Image.open(file).convert("L").resize((1, 1)).getpixel((0, 0)) / 255:.2f}')
