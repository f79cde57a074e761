"""`mimbench track-set`: a tracker over every test sequence, several processes, scored."""

import json
from dataclasses import replace
from pathlib import Path

import click

from downstream.commands.track import recipe_options
from mim_backbones.console.options import Words, parse_options
from mim_backbones.console.processes import stops_in_one_line
from mim_backbones.errors import UserError


def protocol_names() -> tuple[str, ...]:
    from downstream.tracking.scoring.rules import PROTOCOLS

    return PROTOCOLS


@click.command('track-set')
@click.option(
    '--weights', required=True, type=click.Path(path_type=Path), metavar='FILE',
    help='A tracker trained here, or one released with OSTrack or MAE-Lite.',
)  # fmt: skip
@recipe_options
@click.option(
    '--data', required=True, type=click.Path(path_type=Path), metavar='YAML',
    help='Data file whose test sequences to track, or the folder of `mimbench synth`.',
)  # fmt: skip
@click.option(
    '--out', required=True, type=click.Path(path_type=Path, file_okay=False), metavar='DIR',
    help='Folder of the tracks, a file for each sequence as it is finished.',
)  # fmt: skip
@click.option(
    '--jobs', type=click.IntRange(1, 1024), default=1, show_default=True,
    help='Processes, each with its share of the sequences.',
)  # fmt: skip
@click.option(
    '--threads', type=click.IntRange(1, 1024), default=1, show_default=True,
    help='CPU threads of a process.',
)  # fmt: skip
@click.option(
    '--side-by-side', type=click.IntRange(1, 1024), default=1, show_default=True,
    help='Sequences in a batch, which a GPU wants; they are finished together.',
)  # fmt: skip
@click.option('--device', default='cpu', show_default=True, help="Torch's name of it.")
@click.option(
    '--protocol', default='ostrack', show_default=True, metavar='NAME',
    type=Words(protocol_names, 'protocol'), help='Whose rules score the tracks.',
)  # fmt: skip
@click.option(
    '--as', 'copies', multiple=True, metavar='FORMAT=PATH',
    help='Write the tracks in another format too, as trackingnet=tracks.zip; repeatable.',
)  # fmt: skip
@click.option('--whole-pixels', is_flag=True, help='Those of --as truncated, as pytracking does.')
@click.option(
    '--list', 'list_file', metavar='FILE',
    help="Sequences to track instead, below the data's root.",
)  # fmt: skip
@click.option(
    '--calibrate', is_flag=True,
    help='Fit model.confidence to the tracks of --list, and print it.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print the scores as JSON.')
def track_set(
    weights: Path,
    config: Path | None,
    cfg_options: tuple[str, ...],
    published: bool,
    data: Path,
    out: Path,
    jobs: int,
    threads: int,
    side_by_side: int,
    device: str,
    protocol: str,
    copies: tuple[str, ...],
    whole_pixels: bool,
    list_file: str | None,
    calibrate: bool,
    as_json: bool,
) -> None:
    """Follow the target of every test sequence, and score the tracks.

    A run that was stopped, or killed, goes on with the sequences that are not finished when the
    same command is given again. Tracks of other weights, options or data are never mixed in: DIR
    belongs to one run. The tracks are the same for any --jobs; --threads, --side-by-side and the
    device show in the last digit. `mimbench score --predictions DIR` makes a row of a report of
    them.

    With --calibrate the scores of --list, sequences that are in no split, become the probability
    that the box overlaps the target by more than a half; the option that is printed has any tracker
    of these weights give it.

    \b
    Examples:
      mimbench track-set --weights OSTrack_ep0300.pth.tar --data my.yaml --out tracks --jobs 8
      mimbench track-set --weights work/iter_800.pth --data world --out tracks
          --config work/one-stream_vit_smoke_lasot.py --as got10k-server=tracks.zip
      mimbench track-set --weights work/iter_800.pth --data my.yaml --out held
          --config work/one-stream_vit_smoke_lasot.py --list held_out.txt --calibrate

    \b
    Exit codes: 0 all tracked; 2 the tracker, the data or a sequence has to be mended first.
    """
    from downstream.commands.score import print_notes, print_scores
    from downstream.task import find_task
    from downstream.tracking.data import check_split
    from downstream.tracking.formats.layouts import (
        check_target,
        find_layout,
        read_tracks,
        write_tracks,
    )
    from downstream.tracking.runs.parallel import TrackRun, track_all
    from downstream.tracking.scoring.confidence import fit_tracks
    from downstream.tracking.scoring.predictions import score_tracks
    from mim_backbones.console.atomic_file import check_writable
    from mim_backbones.data_spec import load_data_spec, require

    targets = []
    for copy in copies:
        name, _, path = copy.partition('=')
        if not path:
            raise UserError(f'--as {copy}: expected FORMAT=PATH, as trackingnet=tracks.zip')
        targets.append((find_layout(name), Path(path)))
        check_target(Path(path), targets[-1][0])
    section = require(load_data_spec(data), 'tracking')
    if section.layout != 'lasot':
        raise UserError(f'{section.root}: layout {section.layout} is for `mimbench score` alone')
    if list_file is not None:
        if calibrate:
            check_split(section.root, list_file, section.test_list)
        section = replace(section, test_list=list_file)
    elif calibrate:
        raise UserError('--calibrate needs --list FILE of sequences that are in no split')
    check_writable(out)
    run = TrackRun(
        weights=str(weights),
        config=None if config is None else str(config),
        root=str(section.root),
        test_list=section.test_list,
        out=str(out),
        options=parse_options(cfg_options),
        published=published,
        device=device,
        side_by_side=side_by_side,
        threads=threads,
    )
    with stops_in_one_line('the same command goes on with the sequences that are left'):
        videos = track_all(run, section, jobs)
    for layout, path in targets:
        write_tracks(path, read_tracks(out, [one.name for one in videos]), layout, whole_pixels)
    evaluation, task = score_tracks(section, out, protocol), find_task('tracking')
    line = fit_tracks(videos, out, protocol) if calibrate else None
    if as_json:
        print_notes(task, evaluation)
        found = {'metrics': evaluation.metrics, **evaluation.about(), 'out': str(out)}
        click.echo(json.dumps({**found, 'confidence': line}))
        return
    print_scores(task, evaluation)
    click.echo(f'tracks: {out}')
    if line is not None:
        click.echo(f'--cfg-options model.confidence=[{line[0]:.3f},{line[1]:.3f}]')
