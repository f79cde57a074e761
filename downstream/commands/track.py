"""`mimbench track`: follow one target through a video."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter

import click

from mim_backbones.console.options import cfg_options, parse_options
from mim_backbones.errors import UserError


def recipe_options(command: Callable) -> Callable:
    """What `load_tracker` takes beside the weights: --config, --cfg-options, --published."""
    recipe = click.option(
        '--config', type=click.Path(path_type=Path), metavar='FILE',
        help='Recipe the tracker was trained by; none for a released one.',
    )  # fmt: skip
    published = click.option(
        '--published', is_flag=True,
        help='Of a released tracker: repeat its crops to the pixel, slips included.',
    )  # fmt: skip
    return recipe(cfg_options(published(command)))


@click.command()
@click.argument('source', type=click.Path(path_type=Path), metavar='VIDEO|FOLDER')
@click.option(
    '--box', required=True, metavar='X,Y,W,H', help='The target in the first frame, in pixels.'
)
@click.option(
    '--weights', required=True, type=click.Path(path_type=Path), metavar='FILE|FOLDER',
    help='A tracker trained here, one released with OSTrack or MAE-Lite, or an exported one.',
)  # fmt: skip
@recipe_options
@click.option(
    '--out', type=click.Path(path_type=Path), metavar='MP4', help='Video with the boxes drawn in.'
)
@click.option(
    '--boxes', type=click.Path(path_type=Path), metavar='TXT', help='A box x,y,w,h a line.'
)
@click.option('--device', default='cpu', show_default=True, help="Torch's name of it.")
@click.option('--json', 'as_json', is_flag=True, help='Print boxes, scores and times as JSON.')
def track(
    source: Path,
    box: str,
    weights: Path,
    config: Path | None,
    cfg_options: tuple[str, ...],
    published: bool,
    out: Path | None,
    boxes: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Follow a target through VIDEO|FOLDER, from its box in the first frame.

    The score of a frame is that of the best cell, 0 to 1; a low one says that the target may be
    gone. Times are of one frame through crop, network and decoding, reading and drawing left out.

    \b
    Examples:
      mimbench track clip.mp4 --box 120,80,40,60 --weights OSTrack_ep0300.pth.tar --out out.mp4
      mimbench track frames/ --box 120,80,40,60 --weights work/iter_900.pth
          --config work/one-stream_vit_smoke_lasot.py --boxes boxes.txt
      mimbench track clip.mp4 --box 120,80,40,60 --weights EXPORTED

    \b
    Exit codes: 0 tracked; 2 the source, the box or the weights have to be mended first.
    """
    import numpy as np

    from downstream.tracking.deploy.exported import read_exported
    from downstream.tracking.formats.rows import boxes_text
    from downstream.tracking.load import load_tracker
    from downstream.tracking.tracker import Locator, Tracker
    from downstream.tracking.video import TrackVideo, frame_rate, frames_of
    from mim_backbones.console.atomic_file import write_bytes_atomically

    first = parse_box(box)
    model: Locator
    if weights.is_dir():
        if config or cfg_options or published or device != 'cpu':
            raise UserError(
                f'{weights}: an exported tracker is what it is, and runs on the CPU; leave out '
                '--config, --cfg-options, --published and --device'
            )
        model = read_exported(weights)
    else:
        model = load_tracker(weights, config, parse_options(cfg_options), published).to(device)
    tracker, found, scores, seconds = Tracker(model), [], [], []
    with TrackVideo(out, frame_rate(source)) if out else nullcontext() as video:
        for frame in frames_of(source):
            start = perf_counter()
            if found:
                here, score = tracker.update(frame)
            else:
                tracker.init(frame, np.array(first))
                here, score = tracker.box, 1.0
            seconds.append(perf_counter() - start)
            found.append(here)
            scores.append(score)
            if video is not None:
                video.write(frame, here, score)
    if not found:
        raise UserError(f'{source}: has no frame that can be read')
    if boxes is not None:
        write_bytes_atomically(boxes, boxes_text(np.stack(found), ',').encode())
    summary = {
        'frames': len(found),
        'median_ms': 1000 * median(seconds[1:] or seconds),
        'lowest_score': min(scores),
        'out': str(out) if out else None,
    }
    if as_json:
        rows = [here.tolist() for here in found]
        click.echo(json.dumps({**summary, 'boxes': rows, 'scores': scores}))
        return
    click.echo(
        f'{len(found)} frames, {summary["median_ms"]:.1f} ms each (median, {device}), lowest score '
        f'{min(scores):.2f} in frame {1 + scores.index(min(scores))}'
    )
    for written in filter(None, (out, boxes)):
        click.echo(f'written: {written}')


def parse_box(text: str) -> list[float]:
    """'x,y,w,h' -> four numbers; UserError for other words, or a box without area."""
    try:
        x, y, w, h = (float(word) for word in text.split(','))
    except ValueError:
        raise UserError(f'--box {text}: expected four numbers x,y,w,h, as 120,80,40,60') from None
    if not (w > 0 and h > 0):
        raise UserError(f'--box {text}: has no area; w and h are its width and height')
    return [x, y, w, h]
