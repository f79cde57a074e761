"""What the options of OpenMMLab's training and test commands change in a config, in place."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mim_backbones.console.options import warn
from mim_backbones.console.plugins import load_plugin, plugins
from mim_backbones.data_spec import PRETRAIN, TASKS, load_data_spec, require
from mim_backbones.errors import UserError

# Scope -> what draws predictions there: its hook, and the visualizer that the hook asks.
DRAWERS = {
    'mmdet': ('DetVisualizationHook', 'DetLocalVisualizer'),
    'mmseg': ('SegVisualizationHook', 'SegLocalVisualizer'),
}
# Scope -> the model that merges predictions of several views.
MERGERS = {
    'mmdet': {
        'type': 'DetTTAModel',
        'tta_cfg': {'nms': {'type': 'nms', 'iou_threshold': 0.5}, 'max_per_img': 100},
    },
    'mmseg': {'type': 'SegTTAModel'},
}
VIEW = ('flip', 'flip_direction')  # what merging reads of each view


def use_data(cfg: Config, source: str) -> None:
    """Train and test on the data that a YAML (or the folder it is in) names.

    Raises:
        UserError: the YAML lacks the data of this config, they cannot be used, or nothing knows
            where they go.
    """
    word = (cfg.get('protocol') or {}).get('task')
    if word is None:
        if 'root' not in (cfg.get('train_dataloader') or {}).get('dataset', {}):
            raise UserError(
                f'--data: config {cfg.filename} is no recipe of this project, so nothing knows '
                'where its data go; use --cfg-options train_dataloader.dataset.data_root=FOLDER'
            )
        cfg.train_dataloader.dataset.root = str(require(load_data_spec(source), PRETRAIN).root)
        return
    points = plugins(TASKS)
    task = load_plugin(points[word]) if word in points else None
    if getattr(task, 'fit_data', None) is None:
        raise UserError(f'--data: no installed task {word!r} takes data; use --cfg-options')
    section = require(load_data_spec(source), word)
    for note in getattr(task.describe(section), 'notes', ()):  # refuses data that are broken
        warn(note)
    task.fit_data(cfg, section)


def use_amp(cfg: Config) -> None:
    """Half precision: OpenMMLab's wrapper with scaled losses on a GPU, bf16 on a CPU.

    Raises:
        UserError: the config's optimizer wrapper has a precision of its own.
    """
    import torch

    wrapper = cfg.setdefault('optim_wrapper', ConfigDict())
    kind = wrapper.get('type', 'OptimWrapper')
    ours = 'mim_backbones.AutoPrecisionOptimWrapper'
    if kind == ours or (kind == 'OptimWrapper' and not torch.cuda.is_available()):
        wrapper.update(type=ours, precision='bf16')
    elif kind == 'OptimWrapper':
        wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    elif kind != 'AmpOptimWrapper':
        raise UserError(f'--amp: optim_wrapper.type={kind!r} chooses its own precision')


def compile_loss(cfg: Config) -> None:
    """Compile the loss; options that the config has in `compile` stay."""
    cfg.compile = cfg.get('compile') or True


def scale_lr(cfg: Config) -> None:
    """Scale the learning rate by (real batch) / `auto_scale_lr.base_batch_size`.

    Raises:
        UserError: the config does not say for which batch its rate was set.
    """
    if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        raise UserError(
            f'--auto-scale-lr: config {cfg.filename} has no auto_scale_lr.base_batch_size, the '
            'batch its learning rate was set for'
        )
    cfg.auto_scale_lr.enable = True


def keep_predictions(cfg: Config, out: str) -> None:
    """Predictions of the test set: into a file .pkl, or a folder of label maps (segmentation).

    Raises:
        UserError: a folder for what has no label maps.
    """
    scope = cfg.get('default_scope')
    if out.endswith(('.pkl', '.pickle')):
        kind = 'mmdet.DumpDetResults' if scope == 'mmdet' else 'DumpResults'
        metric = {'type': kind, 'out_file_path': out}
    elif scope == 'mmseg':
        metric = {'type': 'mmseg.IoUMetric', 'output_dir': out, 'format_only': True}
    else:
        raise UserError(f'--out {out}: name a file .pkl; only segmentation writes a folder')
    there = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    cfg.test_evaluator = [*there, metric]


def draw_predictions(cfg: Config, folder: str) -> None:
    """A picture of each test image with its prediction, below `folder`.

    Raises:
        UserError: no detector and no segmenter.
    """
    scope = cfg.get('default_scope')
    if scope not in DRAWERS:
        raise UserError(f'--show-dir: {scope or "this config"} has no pictures; mmdet, mmseg have')
    hook_type, visualizer_type = DRAWERS[scope]
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hook = {**(hooks.get('visualization') or {'type': hook_type}), 'draw': True}
    whole = str(Path(folder).resolve())
    if scope == 'mmdet':
        hook['test_out_dir'] = whole
    hooks.visualization = hook
    cfg.visualizer = {
        'name': 'visualizer',
        **(cfg.get('visualizer') or {}),
        'type': visualizer_type,
        'save_dir': whole,
    }
    cfg.visualizer.setdefault('vis_backends', [{'type': 'LocalVisBackend'}])


def augment_test(cfg: Config) -> None:
    """Merge the predictions of several views of each test image.

    A config's own `tta_model` and `tta_pipeline`; else the image and its mirror image.

    Raises:
        UserError: no detector and no segmenter, or a detector of masks.
    """
    scope = cfg.get('default_scope')
    if scope not in MERGERS:
        raise UserError(f'--tta: {scope or "this config"} has no views; mmdet, mmseg have')
    if scope == 'mmdet' and any('mask_head' in node for node in dicts(cfg.model)):
        raise UserError('--tta: mmdet merges boxes only, and this model finds masks')
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    dataset.pipeline = cfg.get('tta_pipeline') or mirrored(dataset.pipeline)
    merger = copy.deepcopy(dict(cfg.get('tta_model') or MERGERS[scope]))
    cfg.model = ConfigDict(**merger, module=cfg.model)


def dicts(node: Any) -> Iterator[Mapping[str, Any]]:
    """A dict and all those in it."""
    values = node.values() if isinstance(node, Mapping) else node
    if isinstance(node, Mapping):
        yield node
    if isinstance(node, Mapping | list | tuple):
        for value in values:
            yield from dicts(value)


def mirrored(pipeline: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A test pipeline that gives each image and its mirror image."""
    *before, pack = copy.deepcopy([dict(transform) for transform in pipeline])
    known = ('img_id', 'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape')
    keys = pack.get('meta_keys', (*known, 'scale_factor', 'reduce_zero_label'))
    pack['meta_keys'] = (*keys, *(key for key in VIEW if key not in keys))
    flips = [{'type': 'RandomFlip', 'prob': 1.0}, {'type': 'RandomFlip', 'prob': 0.0}]
    # The truth is loaded after the flip, which it does not follow.
    load = [one for one in before if loads_truth(one['type'])]
    rest = [one for one in before if not loads_truth(one['type'])]
    steps = [flips, *([one] for one in load), [pack]]
    return [*rest, {'type': 'TestTimeAug', 'transforms': steps}]


def loads_truth(transform: str) -> bool:
    """LoadAnnotations, LoadLabels and the like, of any scope."""
    name = transform.rpartition('.')[2]
    return name.startswith('Load') and 'Image' not in name


def overrides(
    data: str | None = None,
    amp: bool = False,
    compile: bool = False,
    auto_scale_lr: bool = False,
    out: str | None = None,
    show_dir: str | None = None,
    tta: bool = False,
) -> list[Callable[[Config], None]]:
    """The changes that options ask for, in the order to make them."""
    asked = (
        (data, partial(use_data, source=data)),
        (amp, use_amp),
        (compile, compile_loss),
        (auto_scale_lr, scale_lr),
        (out, partial(keep_predictions, out=out)),
        (show_dir, partial(draw_predictions, folder=show_dir)),
        (tta, augment_test),
    )
    return [change for given, change in asked if given]
