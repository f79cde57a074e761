"""A tracker's frames per second on this CPU, by every way there is to run its network."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from downstream.bench.published_tracker import PublishedTracker, has_published_form
from downstream.bench.turns import Follower, TimedTracker, Turns, median_ratio, take_turns
from downstream.tracking.box import iou_and_giou, xywh_to_xyxy
from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.crop import cut, window_around
from downstream.tracking.data import read_sequences
from downstream.tracking.deploy.calibration import Pair, calibration_pairs
from downstream.tracking.deploy.exported import eager_bf16
from downstream.tracking.deploy.write import PACKAGES, export_tracker
from downstream.tracking.model import OneStreamTracker
from downstream.tracking.scoring.predictions import all_curves
from downstream.tracking.tracker import Locator, track_sequences
from mim_backbones.errors import UserError

PUBLISHED, EAGER = 'published', 'eager'
# Name -> runtime and precision of what is exported for it.
EXPORTED = {
    'torchscript': ('torchscript', 'fp32'),
    'onnx': ('onnx', 'fp32'),
    'onnx-int8': ('onnx', 'int8'),
    'openvino': ('openvino', 'fp32'),
    'openvino-bf16': ('openvino', 'bf16'),
    'openvino-int8': ('openvino', 'int8'),
}
WAYS = (PUBLISHED, EAGER, 'eager-bf16', *EXPORTED)
FRAME, TARGET, DISTINCT = (720, 1280), (60, 80), 8  # pixels, rows first; frames repeat


@dataclass(frozen=True)
class SpeedRow:
    """One way; times in milliseconds over the frames.

    network: from grey levels to the box in the crop, of `published` the forward pass alone.
    whole: crop, network, decoding, and the box on the image. cpu: its processor time, of all
    threads: with one, what the whole takes on a machine with nothing else to do.
    ratio: of whole times, the first way's over this one's, with its 95 % interval.
    overlap: mean IoU of its boxes with eager's, found in the same crops.
    auc: in percent, on the set it tracked; auc_change: less that of the first way that did, with
    the 95 % interval over sequences (paired, Student's t). None without a set.
    """

    way: str
    runtime: str
    network_ms: float
    whole_ms: float
    whole_p95_ms: float
    cpu_ms: float
    frames_per_second: float
    ratio: tuple[float, float, float]
    overlap: float | None
    auc: float | None
    auc_change: tuple[float, float, float] | None


def random_tracker(arch: str, seed: int = 0) -> OneStreamTracker:
    """OSTrack's layout on a ViT of this name (archs.VIT), random weights, in eval mode.

    Crops of 128 and 256 px, candidates leave in blocks 3, 6 and 9, 0.7 stay: wangsr126/MAE-Lite,
    projects/eval_tools/track, whose ViT-Ti is 'tiny-h12'.
    """
    torch.manual_seed(seed)
    backbone = {'type': 'mim_backbones.MIMViT', 'arch': arch, 'img_size': 256, 'cls_token': False}
    try:
        model = OneStreamTracker(backbone, elimination={'blocks': (3, 6, 9), 'keep': 0.7})
    except ValueError as error:
        raise UserError(f'--arch {arch}: {error}') from error
    return model.eval()


def measure(
    model: CentreTracker,
    wanted: Sequence[str],
    frames: int,
    threads: int,
    data: Path | None = None,
    show: Callable[[str], object] = lambda line: None,
) -> list[SpeedRow]:
    """Rows in the order of WAYS. The first is what the others are compared with.

    Args:
        model: in eval mode.
        wanted: of WAYS; one that this model has no form of is left out.
        frames: that count.
        threads: of torch and of every runtime, for good.
        data: LaSOT's layout: int8 reads ranges off its training sequences, and every way tracks
            its test sequences; None: ranges of noise.
        show: told what is under way.

    Raises:
        UserError: a package is missing, or a set cannot be read.
    """
    torch.set_num_threads(threads)
    model = copy(model)
    model.redetection = None  # which no exported graph has: all ways see a crop a frame
    pairs = noise_pairs(model) if data is None else calibration_pairs(model, data)
    videos = [] if data is None else read_sequences(data, 'testing_set.txt')
    with _models(model, wanted, pairs, threads, show) as models:
        ways: dict[str, Follower] = {n: TimedTracker(each) for n, each in models.items()}
        if PUBLISHED in wanted and has_published_form(model):
            ways = {PUBLISHED: PublishedTracker(model), **ways}
        pictures, boxes = scene(frames)
        turns = take_turns(
            ways, pictures, boxes, lambda done: show(f'{done} of {frames} frames in turns')
        )
        aucs: dict[str, np.ndarray] = {}
        for name, each in models.items() if videos else ():
            show(f'{name} tracks {len(videos)} sequences')
            tracks = {track.name: [track.boxes] for track in track_sequences(each, videos)}
            curves = all_curves(videos, tracks, 'ostrack')
            aucs[name] = np.array([100 * one.success.mean() for one in curves])
    first = next(iter(turns.values()))
    own = turns.get(EAGER)
    tracked = next(iter(aucs.values()), None)
    return [
        SpeedRow(
            way=name,
            runtime=runtime_of(name),
            network_ms=float(np.median(each.network)),
            whole_ms=float(np.median(each.whole)),
            whole_p95_ms=float(np.percentile(each.whole, 95)),
            cpu_ms=float(np.median(each.processor)),
            frames_per_second=1e3 / float(np.median(each.whole)),
            ratio=median_ratio(first.whole, each.whole),
            overlap=None if own is None else _overlap(each, own),
            auc=float(aucs[name].mean()) if name in aucs else None,
            auc_change=paired_change(aucs[name] - tracked) if name in aucs else None,
        )
        for name, each in turns.items()
    ]


def missing_packages(way: str) -> list[str]:
    """What is not installed of what a way needs."""
    runtime, _ = EXPORTED.get(way, (None, None))
    return [name for name in PACKAGES.get(runtime, ()) if find_spec(name) is None]


def runtime_of(way: str) -> str:
    """Package and version that run it, and in which precision."""
    runtime, precision = EXPORTED.get(way, ('eager', 'bf16' if way == 'eager-bf16' else 'fp32'))
    package = PACKAGES[runtime][-1] if runtime in PACKAGES else 'torch'
    return f'{package} {version(package)}, {precision}'


@contextmanager
def _models(
    model: CentreTracker,
    wanted: Sequence[str],
    pairs: Sequence[Pair],
    threads: int,
    show: Callable[[str], object],
) -> Iterator[dict[str, Locator]]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix='mimbench-') as name:
        for way in WAYS:
            if way not in wanted or way == PUBLISHED:
                continue
            show(f'making {way}')
            if way == EAGER:
                found[way] = model
            elif way == 'eager-bf16':
                found[way] = eager_bf16(model)
            else:
                found[way] = export_tracker(model, Path(name) / way, *EXPORTED[way], pairs, threads)
        yield found


def scene(frames: int) -> tuple[list[np.ndarray], np.ndarray]:
    """A template's frame and `frames` more of smooth noise, and a box (xywh) in each."""
    import cv2

    draw = np.random.default_rng(0)
    height, width = FRAME
    pictures = []
    for _ in range(min(frames + 1, DISTINCT)):
        coarse = draw.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        pictures.append(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    size = np.array(TARGET[::-1]) * draw.uniform(0.8, 1.25, (frames + 1, 1))
    corner = draw.uniform(0, 1, (frames + 1, 2)) * (np.array([width, height]) - size)
    return [pictures[i % DISTINCT] for i in range(frames + 1)], np.hstack([corner, size])


def noise_pairs(model: CentreTracker, count: int = 8) -> list[Pair]:
    """Crops of `scene`, for int8 where there is no data."""
    pictures, boxes = scene(count)
    inside = np.array([0.25, 0.25, 0.5, 0.5])
    template = cut(pictures[0], window_around(boxes[0], model.template_factor), model.template_size)
    return [
        (template, inside, cut(frame, window_around(box, model.search_factor), model.search_size))
        for frame, box in zip(pictures[1:], boxes[1:])
    ]


def paired_change(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean of (S,) differences and both ends of its 95 % interval; NaN ends for a single one."""
    from scipy.stats import t

    mean, count = float(differences.mean()), len(differences)
    if count < 2:
        return mean, float('nan'), float('nan')
    reach = float(t.ppf(0.975, count - 1) * differences.std(ddof=1) / count**0.5)
    return mean, mean - reach, mean + reach


def _overlap(turns: Turns, others: Turns) -> float:
    boxes = (xywh_to_xyxy(torch.from_numpy(each.boxes)) for each in (turns, others))
    return float(iou_and_giou(*boxes)[0].mean())
