"""`mimbench bench loader --task detection`: large-scale jitter against mmdet's own transforms."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from downstream.detection.data import DetectionData
    from downstream.detection.input.loader_speed import LoaderRow

LINE = '{:>6} {:10} {:>13} {:>9} {:>12} {:>10}'
COLUMNS = ('px', 'pipeline', 'images/s/core', 'decode ms', 'annotations', 'transform')
SYNTHETIC = {'detection_train': 24, 'detection_val': 1, 'detection_px': 512}


@click.command()
@click.option(
    '--data', type=click.Path(path_type=Path),
    help='Data YAML, or a folder in COCO layout; synthetic pictures if not given.',
)  # fmt: skip
@click.option(
    '--size', 'sizes', type=click.IntRange(32, 4096), multiple=True, default=(1024, 640),
    show_default=True, help='Side of the crop in pixels; repeatable.',
)  # fmt: skip
@click.option(
    '--images', type=click.IntRange(1), default=64, show_default=True, help='Pictures, at most.'
)
@click.option(
    '--repeats', type=click.IntRange(1), default=5, show_default=True,
    help='Passes over the pictures; the median counts.',
)  # fmt: skip
@click.option(
    '--decode', type=click.Choice(['exact', 'fast']), default='exact', show_default=True,
    help='How ours reads pictures, see docs/decode.md.',
)  # fmt: skip
@click.option('--seed', type=click.IntRange(0), default=0, show_default=True, help='Of the draws.')
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def detection(
    data: Path | None,
    sizes: tuple[int, ...],
    images: int,
    repeats: int,
    decode: str,
    seed: int,
    as_json: bool,
) -> None:
    """Large-scale jitter: our pipeline and mmdet's, in turns on the same pictures and draws.

    Processor time of one thread, from the file to the packed sample. "decode" is reading the
    picture, "annotations" the objects (mmdet jitters its masks later, in "transform"), "transform"
    the rest. Boxes and masks are compared first: with mmdet's when it keeps polygons, which are
    the same, and with those of its recipe, which resizes pixels filled at the picture's size.

    \b
    Examples:
      mimbench bench loader --task detection --data data/coco
      mimbench bench loader --task detection --data data.yaml --size 640 --repeats 9 --json

    Exit codes: 0 done; 2 the data cannot be read.
    """
    with redirect_stdout(sys.stderr), _section(data) as section:  # mm* packages talk
        from downstream.detection.input.loader_speed import measure

        rows = [measure(section, size, images, repeats, decode, seed) for size in sizes]
    if as_json:
        report = {'task': 'detection', 'rows': [asdict(row) for row in rows]}
        click.echo(json.dumps(report, indent=1))
        return
    click.echo(f'{rows[0].images} pictures, {repeats} passes, decode={decode}')
    click.echo(LINE.format(*COLUMNS))
    for row in rows:
        for line in lines(row):
            click.echo(line)


def lines(row: 'LoaderRow') -> Iterator[str]:
    for name, speed in (('mimbench', row.ours), ('mmdet', row.mmdet)):
        stages = (f'{value:.2f}' for value in speed.milliseconds.values())
        yield LINE.format(row.size, name, f'{speed.images_per_second:.1f}', *stages)
    low, middle, high = row.ratio
    yield f'       {middle:.2f} times as many images ({low:.2f} to {high:.2f})'
    for name, found in (("mmdet's polygons", row.polygons), ("mmdet's bitmaps", row.bitmaps)):
        yield (
            f'       {name}: {found.objects} objects in both, {found.alone["ours"]} in ours alone, '
            f'{found.alone["mmdet"]} in theirs alone; boxes differ by {found.box_pixels[0]:.2f} px '
            f'(99 %: {found.box_pixels[1]:.2f}), masks overlap by {found.mask_iou[0]:.3f} '
            f'(1 %: {found.mask_iou[1]:.3f})'
        )


@contextmanager
def _section(data: Path | None) -> Iterator['DetectionData']:
    """The data set that is named, or a small synthetic one for as long as it is needed."""
    from downstream.detection.data import DetectionData
    from mim_backbones.data_spec import load_data_spec, require

    if data is None:
        from downstream.synthetic.build import build_world
        from downstream.synthetic.sizes import SIZES

        with TemporaryDirectory(prefix='mimbench-') as folder:
            build_world(Path(folder) / 'world', replace(SIZES['tiny'], **SYNTHETIC),
                        parts=('detection',))  # fmt: skip
            yield require(load_data_spec(Path(folder) / 'world'), 'detection')
    elif data.is_dir() and not (data / 'data.yaml').is_file():
        section = DetectionData(root=data.resolve())
        for path in section.wanted():
            if not path.exists():
                raise UserError(
                    f'--data {data}: {path} is not there; give a data YAML, or a folder in COCO '
                    'layout'
                )
        yield section
    else:
        yield require(load_data_spec(data), 'detection')
