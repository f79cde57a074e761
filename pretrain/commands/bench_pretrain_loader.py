"""`mimbench bench loader`: reading pre-training images, against Pillow and torchvision."""

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

LINE = '{:20} {:>13} {:>8} {:>8} {:>9} {:>9}'
COLUMNS = ('pipeline', 'images/s/core', 'read ms', 'decode', 'augment', 'collate')


@click.command()
@click.option(
    '--data', required=True, type=click.Path(path_type=Path), help='Folder of images.'
)  # fmt: skip
@click.option(
    '--size', type=click.IntRange(8, 4096), default=224, show_default=True,
    help='Side of the crops in pixels.',
)  # fmt: skip
@click.option(
    '--scale', nargs=2, type=click.FloatRange(0, 1, min_open=True), default=(0.2, 1.0),
    show_default=True, help="Range of a crop's share of the area.",
)  # fmt: skip
@click.option(
    '--interpolation', type=click.Choice(['bilinear', 'bicubic', 'lanczos']), default='bicubic',
    show_default=True,
)  # fmt: skip
@click.option(
    '--decode', 'decodes', type=click.Choice(['exact', 'fast']), multiple=True,
    default=('exact', 'fast'), show_default=True, help='How ours reads, see docs/decode.md.',
)  # fmt: skip
@click.option(
    '--images', type=click.IntRange(1), default=64, show_default=True, help='Pictures, at most.'
)
@click.option(
    '--enlarge', type=click.IntRange(16, 8192), metavar='PX',
    help='Measure on copies whose longer side is that, JPEGs of quality 90.',
)  # fmt: skip
@click.option('--batch', type=click.IntRange(1), default=32, show_default=True)
@click.option(
    '--repeats', type=click.IntRange(1), default=5, show_default=True,
    help='Passes over the pictures; the median counts.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True, help='Of the crops.')
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def pretrain(
    data: Path,
    size: int,
    scale: tuple[float, float],
    interpolation: str,
    decodes: tuple[str, ...],
    images: int,
    enlarge: int | None,
    batch: int,
    repeats: int,
    seed: int,
    as_json: bool,
) -> None:
    """Images a second and core, ours and the usual pipeline in turns on the same crops.

    Processor time of one thread, by stage. The usual pipeline is Pillow with torchvision's crop,
    flip, ToTensor and Normalize; ours hands bytes over, which the step normalises.

    \b
    Examples:
      mimbench bench loader --data data/imagenet/train
      mimbench bench loader --data photos --enlarge 500 --scale 0.67 1 --interpolation bilinear
      mimbench bench loader --task detection --data data/coco

    Exit codes: 0 done; 2 the data cannot be read.
    """
    from pretrain.images.decode import choose_images, load_readable, unreadable
    from pretrain.inspect.loading import measure, write_larger

    files = choose_images(data, images)
    read = [*load_readable(files, size)]
    unreadable(files, read)
    with TemporaryDirectory(prefix='mimbench-') as folder:
        if enlarge:
            write_larger(read, enlarge, Path(folder))
        else:
            for i, file in enumerate(read):
                (Path(folder) / f'{i:06d}{Path(file).suffix}').symlink_to(Path(file).absolute())
        rows = [
            measure(folder, size, scale, interpolation, decode, batch, repeats, seed)
            for decode in decodes
        ]
    if as_json:
        head = {
            'task': 'pretrain', 'scale': scale, 'interpolation': interpolation, 'enlarge': enlarge,
        }  # fmt: skip
        click.echo(json.dumps({**head, 'rows': [asdict(row) for row in rows]}, indent=1))
        return
    copies = f', copies of {enlarge} px' if enlarge else ''
    click.echo(
        f'{rows[0].images} pictures{copies}, {repeats} passes; crops of {scale[0]:g} to '
        f'{scale[1]:g} of the area at {size} px, {interpolation}'
    )
    click.echo(LINE.format(*COLUMNS))
    for row in rows:
        for name, found in (('Pillow + torchvision', row.usual), (f'{row.decode}', row.ours)):
            stages = (f'{value:.2f}' for value in found.milliseconds.values())
            click.echo(LINE.format(name, f'{found.images_per_second:.0f}', *stages))
        low, middle, high = row.ratio
        click.echo(
            f'  {middle:.2f} times as many images ({low:.2f} to {high:.2f}); pixels differ by '
            f'{row.levels[0]:.3f} grey levels, {row.levels[1]:.0f} at most'
        )
