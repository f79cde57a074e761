"""`mimbench bench tracker`: frames per second of a tracker on this CPU."""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mim_backbones.console.options import Words, cfg_options, parse_options, warn
from mim_backbones.errors import UserError

if TYPE_CHECKING:
    from downstream.bench.tracker_speed import SpeedRow

LINE = '{:14} {:>10} {:>8} {:>8} {:>8} {:>8} {:>20} {:>7} {:>5} {:>19}  {}'
COLUMNS = (
    'way', 'network ms', 'whole ms', 'p95 ms', 'frames/s', 'cpu ms', 'faster', 'overlap', 'AUC',
    'change', 'by',
)  # fmt: skip


def _ways() -> tuple[str, ...]:
    from downstream.bench.tracker_speed import WAYS

    return WAYS


@click.command('tracker')
@click.argument('weights', type=click.Path(path_type=Path), metavar='[CKPT]', required=False)
@click.option(
    '--config', type=click.Path(path_type=Path), metavar='FILE',
    help='Recipe of CKPT; none for a released tracker.',
)  # fmt: skip
@cfg_options
@click.option(
    '--arch', metavar='NAME',
    help='Without CKPT: a ViT by its name, random weights. [default: tiny-h12, MAE-Lite\'s]',
)  # fmt: skip
@click.option(
    '--runtimes', type=Words(_ways, 'way', several=True), metavar='WAY,..',
    help='Some of: published, eager, eager-bf16, torchscript, onnx, onnx-int8, openvino, '
    'openvino-bf16, openvino-int8. [default: all]',
)  # fmt: skip
@click.option('--threads', type=click.IntRange(1, 1024), default=1, show_default=True)
@click.option(
    '--frames', type=click.IntRange(min=1), default=100, show_default=True, help='That count.'
)
@click.option(
    '--data', type=click.Path(path_type=Path), metavar='LASOT',
    help='With CKPT: the set AUC is of, in the layout of LaSOT. [default: synthetic]',
)  # fmt: skip
@click.option('--no-auc', is_flag=True, help='With CKPT: times alone.')
@click.option('--json', 'as_json', is_flag=True, help='Print the figures as JSON.')
def tracker(
    weights: Path | None,
    config: Path | None,
    cfg_options: tuple[str, ...],
    arch: str | None,
    runtimes: tuple[str, ...] | None,
    threads: int,
    frames: int,
    data: Path | None,
    no_auc: bool,
    as_json: bool,
) -> None:
    """Times of a frame, network and whole, in turns by every way to run the network of a tracker.

    "whole" is crop, network, decoding and the box on the image, reading left out; medians, and the
    95th percentile; "cpu" its processor time, which on one thread is the whole's on a machine with
    nothing else to do. "network" goes from grey levels to the box in the crop. The ways take turns
    on every frame, each beginning at the same box, so that other load slows all alike: "faster" is
    the median over frames of the first way's whole time over this one's, with its 95 % interval.

    `published` is the same network run as OSTrack's released code does: eager, attention weights
    made whole, the template embedded in every frame, all head maps. The others keep the template's
    tokens and make size and offset in the best cell alone. "overlap" is the mean IoU of a way's
    boxes with eager's in the same crops; with random weights many cells score alike, and rounding
    picks another. AUC (protocol ostrack) is of the test sequences of --data, "change" what a
    precision costs, with its 95 % interval over sequences; int8's ranges are read off its training
    sequences.

    \b
    Needs for onnx and openvino: pip install 'mimbench[deploy]'.

    \b
    Examples:
      mimbench bench tracker
      mimbench bench tracker --arch small-h12 --runtimes published,eager,openvino --threads 4
      mimbench bench tracker OSTrack_ep0300.pth.tar --data data/lasot --json

    \b
    Exit codes: 0 measured; 2 the weights, a package or an option has to be mended first.
    """
    if weights is None and (data or config or cfg_options):
        raise UserError('--data, --config and --cfg-options go with a CKPT; give its file')
    if weights is not None and arch is not None:
        raise UserError('--arch goes without a CKPT, whose architecture is its own; leave it out')
    from mmengine.logging import MMLogger
    from rich.console import Console

    from downstream.bench.published_tracker import has_published_form
    from downstream.bench.tracker_speed import WAYS, measure, missing_packages, random_tracker
    from downstream.tracking.load import load_tracker
    from mim_backbones.console.environment import cpu_name

    MMLogger.get_current_instance().setLevel('ERROR')
    model = (
        random_tracker(arch or 'tiny-h12')
        if weights is None
        else load_tracker(weights, config, parse_options(cfg_options))
    )
    lacking = {} if runtimes else {way: missing_packages(way) for way in WAYS}
    for way, packages in lacking.items():
        if packages:
            warn(f"{way} is left out without {packages[0]}; pip install 'mimbench[deploy]'")
    wanted = runtimes or [way for way in WAYS if not lacking[way]]
    if 'published' in wanted and not has_published_form(model):
        warn('published is left out: the released code could not hold this tracker')
    with ExitStack() as stack:
        status = stack.enter_context(Console(stderr=True).status('loading'))
        if weights is not None and data is None and not no_auc:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='mimbench-'))
            status.update('rendering synthetic sequences')
            data = synthetic_sequences(Path(folder))
        rows = measure(model, wanted, frames, threads, None if no_auc else data, status.update)
    about = {
        'cpu': cpu_name(), 'threads': threads, 'frames': frames,
        'crops_px': [model.template_size, model.search_size],
        'weights': str(weights) if weights else f'random, {arch or "tiny-h12"}',
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps({**about, 'rows': [vars(row) for row in rows]}, indent=1))
        return
    click.echo(
        f'{about["cpu"]}, {threads} thread{"s" * (threads > 1)}; {about["weights"]} weights; crops '
        f'{model.template_size} and {model.search_size} px; {frames} frames of 1280 x 720'
    )
    click.echo(LINE.format(*COLUMNS))
    for row in rows:
        click.echo(line(row))


def synthetic_sequences(folder: Path) -> Path:
    """The synthetic world's sequences, written into the folder -> their root."""
    from downstream.synthetic.build import build_world
    from downstream.synthetic.sizes import SIZES

    build_world(folder / 'world', SIZES['small'], parts=('tracking',))
    return folder / 'world' / 'lasot'


def line(row: 'SpeedRow') -> str:
    middle, low, high = row.ratio
    return LINE.format(
        row.way,
        f'{row.network_ms:.1f}',
        f'{row.whole_ms:.1f}',
        f'{row.whole_p95_ms:.1f}',
        f'{row.frames_per_second:.1f}',
        f'{row.cpu_ms:.1f}',
        f'{middle:.2f}x ({low:.2f}..{high:.2f})',
        '-' if row.overlap is None else f'{row.overlap:.3f}',
        '-' if row.auc is None else f'{row.auc:.1f}',
        '-' if row.auc_change is None else '{:+.1f} ({:+.1f}..{:+.1f})'.format(*row.auc_change),
        row.runtime,
    )
