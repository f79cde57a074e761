"""`mimbench export tracker`: a trained tracker for ONNX Runtime, OpenVINO or TorchScript."""

import json
from pathlib import Path

import click

from downstream.commands.track import recipe_options
from mim_backbones.console.options import parse_options
from mim_backbones.errors import UserError


@click.command('tracker')
@click.argument('weights', type=click.Path(path_type=Path), metavar='CKPT')
@click.option(
    '--to', 'runtime', required=True, type=click.Choice(['onnx', 'openvino', 'torchscript'])
)
@click.option(
    '--out', required=True, type=click.Path(path_type=Path), metavar='FOLDER',
    help='Where to; an exported tracker in it is replaced.',
)  # fmt: skip
@recipe_options
@click.option(
    '--precision', type=click.Choice(['fp32', 'bf16', 'int8']), default='fp32', show_default=True,
    help='bf16: openvino, torchscript; int8, by post-training quantisation: onnx, openvino.',
)  # fmt: skip
@click.option(
    '--calibrate', type=click.Path(path_type=Path), metavar='LASOT',
    help='For int8: data in the layout of LaSOT; ranges are read off its training sequences.',
)  # fmt: skip
@click.option('--json', 'as_json', is_flag=True, help='Print what was written as JSON.')
def tracker(
    weights: Path,
    runtime: str,
    out: Path,
    config: Path | None,
    cfg_options: tuple[str, ...],
    published: bool,
    precision: str,
    calibrate: Path | None,
    as_json: bool,
) -> None:
    """Write the tracker of CKPT as two graphs, which `mimbench track --weights FOLDER` runs.

    `template` turns the first crop into what is kept of it, once; `search` finds the box in every
    later one, from grey levels: normalisation, elimination, window and decoding are inside.
    tracker.json says sizes and factors of the crops, and what else a tracker has to know. Both are
    compared with eager torch before the command ends: in fp32 a difference above 1e-4 of the crop
    is an error.

    \b
    Needs: pip install 'mimbench[deploy]' (torchscript: nothing).

    \b
    Examples:
      mimbench export tracker OSTrack_ep0300.pth.tar --to openvino --out tracker/
      mimbench export tracker work/iter_800.pth --config work/one-stream.py --to onnx --out t/
      mimbench export tracker CKPT --to openvino --precision int8 --calibrate LASOT --out t8/
      mimbench track clip.mp4 --box 120,80,40,60 --weights tracker/

    \b
    Exit codes: 0 written; 2 the weights, a package or an option has to be mended first.
    """
    from downstream.evaluation.fingerprint import file_digest
    from downstream.tracking.deploy.calibration import calibration_pairs
    from downstream.tracking.deploy.write import TOLERANCE, export_tracker, largest_difference
    from downstream.tracking.load import load_tracker

    if (precision == 'int8') != (calibrate is not None):
        raise UserError('--precision int8 and --calibrate LASOT go together')
    model = load_tracker(weights, config, parse_options(cfg_options), published)
    pairs = calibration_pairs(model, calibrate) if calibrate else ()
    made_from = {'file': weights.name, 'sha256': file_digest(weights)}
    exported = export_tracker(model, out, runtime, precision, pairs, weights=made_from)
    difference = largest_difference(model, exported)
    if precision == 'fp32' and not difference <= TOLERANCE:  # NaN neither
        raise UserError(
            f'{out}: differs from eager torch by {difference:.1e} of the crop; do not use it, and '
            'see whether the weights are sound'
        )
    files = sorted(path.name for path in out.iterdir())
    megabytes = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    if as_json:
        click.echo(json.dumps({
            'out': str(out), 'runtime': runtime, 'precision': precision, 'files': files,
            'megabytes': megabytes, 'largest_difference': difference,
        }))  # fmt: skip
        return
    click.echo(f'{out}: {", ".join(files)}, {megabytes:.1f} MB')
    click.echo(
        f'largest difference from eager torch on noise: {difference:.1e} (boxes in fractions of '
        'the crop, scores)'
    )
