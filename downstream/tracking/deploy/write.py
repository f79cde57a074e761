"""Write a tracker as two graphs with a manifest, and hold what they say against eager torch.

model -> graphs.py -> FOLDER/{template,search}.{onnx | xml, bin | pt} + tracker.json
"""

import shutil
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.deploy.calibration import Pair
from downstream.tracking.deploy.exported import ExportedTracker, read_exported
from downstream.tracking.deploy.folder import (
    ENDINGS,
    MANIFEST,
    Manifest,
    settings_of,
    write_manifest,
)
from downstream.tracking.deploy.graphs import Graphs, graphs_of
from downstream.tracking.deploy.onnx_graph import BOX, KEPT, SCORE, write_int8, write_onnx
from downstream.tracking.deploy.packages import need
from downstream.tracking.deploy.runtimes import openvino_core
from mim_backbones.errors import UserError

# Runtime -> what its graphs can be in.
OFFERED = {
    'onnx': ('fp32', 'int8'),
    'openvino': ('fp32', 'bf16', 'int8'),
    'torchscript': ('fp32', 'bf16'),
}
PACKAGES = {
    'onnx': ('torch', 'onnx', 'onnxscript', 'onnxruntime'),
    'openvino': ('torch', 'onnx', 'onnxscript', 'openvino'),
    'torchscript': ('torch',),
}
# Of a box in fractions of the crop and of a score: float32 adds in another order.
TOLERANCE = 1e-4
ROUNDING = 1e-5


def export_tracker(
    model: CentreTracker,
    folder: Path,
    runtime: str,
    precision: str = 'fp32',
    calibration: Iterable[Pair] = (),
    threads: int | None = None,
    weights: dict[str, str] | None = None,
) -> ExportedTracker:
    """Write the folder, which must not hold anything else, and read it back.

    Args:
        precision: one that OFFERED has for the runtime.
        calibration: what int8 reads ranges from, see calibration.py.
        threads: of the tracker that is read back.
        weights: for the manifest.

    Raises:
        UserError: a precision that the runtime does not offer, int8 without calibration, a folder
            of something else, or a package of the extra `deploy` that is missing.
    """
    if precision not in OFFERED[runtime]:
        raise UserError(
            f'--to {runtime} has no precision {precision}; it has {", ".join(OFFERED[runtime])}'
        )
    for package in PACKAGES[runtime]:
        need(package)
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise UserError(f'{folder}: holds something else; give a new folder')
    graphs = graphs_of(model, bf16=precision == 'bf16' and runtime == 'torchscript')
    manifest = Manifest(
        runtime,
        precision,
        model.asks_box,
        settings_of(model),
        weights or {},
        {name: version(name) for name in PACKAGES[runtime]},
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix='.export-') as name:
        draft = Path(name) / 'draft'
        draft.mkdir()
        if runtime == 'torchscript':
            _write_torchscript(graphs, draft)
        else:
            _write_onnx(graphs, draft, list(calibration) if precision == 'int8' else None)
        if runtime == 'openvino':
            _onnx_to_openvino(draft)
        write_manifest(draft, manifest)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    return read_exported(folder, threads)


@torch.inference_mode()
def largest_difference(model: CentreTracker, exported: ExportedTracker) -> float:
    """Of boxes, in fractions of the crop, and scores, on four pairs of noise crops.

    A box counts where eager's best cell is not one of two that are equal but for rounding.
    """
    draw = torch.Generator().manual_seed(1)
    model = model.eval()

    def crops(size: int) -> Tensor:
        return torch.randint(256, (4, size, size, 3), dtype=torch.uint8, generator=draw)

    template, search = crops(model.template_size), crops(model.search_size)
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.3, 0.1, 0.4, 0.8]] * 2)
    kept = model.remember(template, boxes)
    expected, scores = model.find(kept, search)
    found, found_scores = exported.find(exported.remember(template, boxes), search)
    maps = model.locate(kept, model.normalise(search.permute(0, 3, 1, 2))).score * model.hann
    best, second = maps.flatten(1).topk(2).values.unbind(1)
    apart = (best - second > ROUNDING * best)[:, None]
    boxes_apart, scores_apart = (found - expected) * apart, found_scores - scores
    return float(torch.cat([boxes_apart.flatten(), scores_apart]).abs().max())  # NaN if one is


def _write_torchscript(graphs: Graphs, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch calls tracing old, and constants of sizes risky
        for name in ('template', 'search'):
            traced = torch.jit.trace(
                getattr(graphs, name), getattr(graphs, f'{name}_inputs'), check_trace=False
            )
            torch.jit.freeze(traced).save(str(folder / f'{name}{ENDINGS["torchscript"]}'))


def _write_onnx(graphs: Graphs, folder: Path, calibration: Sequence[Pair] | None) -> None:
    kept = [f'{KEPT}{i}' for i in range(len(graphs.search_inputs) - 1)]
    given = ['crop', 'box_in_crop'][: len(graphs.template_inputs)]
    template, search = (folder / f'{name}.onnx' for name in ('template', 'search'))
    write_onnx(graphs.template, graphs.template_inputs, [*given, *kept], template)
    write_onnx(graphs.search, graphs.search_inputs, ['crop', *kept, BOX, SCORE], search)
    if calibration is None:
        return
    if not calibration:
        raise UserError('int8 needs pictures to read ranges from; --calibrate LASOT')
    plain = search.rename(folder / 'float.onnx')
    write_int8(plain, search, _samples(graphs, ['crop', *kept], calibration))
    plain.unlink()


@torch.inference_mode()
def _samples(graphs: Graphs, names: Sequence[str], pairs: Iterable[Pair]) -> list[dict]:
    found = []
    for crop, box, search in pairs:
        inputs = [torch.from_numpy(crop[None]), torch.from_numpy(box[None]).float()]
        kept = graphs.template(*inputs[: len(graphs.template_inputs)])
        values = [search[None], *(each.numpy() for each in kept)]
        found.append(dict(zip(names, values, strict=True)))
    return found


def _onnx_to_openvino(folder: Path) -> None:
    openvino = need('openvino')
    for name in ('template', 'search'):
        path = folder / f'{name}.onnx'
        graph = openvino_core().read_model(str(path))
        openvino.save_model(graph, str(path.with_suffix('.xml')), compress_to_fp16=False)
        path.unlink()
