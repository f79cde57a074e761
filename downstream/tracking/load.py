"""A trained tracker from its file: one of ours with its config, or one released with OSTrack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from downstream.registry import MODELS
from downstream.tracking.centre_tracker import CentreTracker
from downstream.tracking.ostrack import read_ostrack
from mim_backbones.checkpoints.safe.weights_file import read_weights_file
from mim_backbones.errors import UserError
from mim_backbones.training.config import read_config

# Of the released trackers that drop candidates: ViT-B at 256 and 384 px, MAE-Lite's ViT-Ti.
RELEASED = {'blocks': (3, 6, 9), 'keep': 0.7, 'template': 'centre'}
SEARCH_FACTORS = {256: 4.0, 384: 5.0}


def load_tracker(
    weights: str | Path,
    config: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    published: bool = False,
) -> CentreTracker:
    """The tracker, in eval mode on the CPU.

    Args:
        weights: what training wrote, or a released file.
        config: the recipe it was trained by, which training also leaves in its work folder; None
            for a released file.
        options: dotted overrides of the config.
        published: of a released tracker: repeat the published crops' slips (crop.py).

    Raises:
        UserError: a file that cannot be read, or weights that are not the config's.
    """
    if config is None:
        tracker = read_ostrack(weights, elimination=RELEASED, published=published)
        tracker.search_factor = SEARCH_FACTORS.get(tracker.search_size, tracker.search_factor)
        return tracker
    cfg = read_config(config, dict(options or {}))
    cfg.model.backbone.pop('init_cfg', None)  # all weights are in the file
    tracker = MODELS.build(cfg.model)
    content = read_weights_file(weights)
    state = content.get('state_dict', content)
    for name, value in tracker.state_dict().items():
        if name not in state or state[name].shape != value.shape:
            held = tuple(state[name].shape) if name in state else 'nothing'
            raise UserError(
                f'{weights}: holds {held} for {name}, which {config} makes {tuple(value.shape)}; '
                'give the config it was trained by'
            )
    tracker.load_state_dict(state)
    return tracker.eval()
