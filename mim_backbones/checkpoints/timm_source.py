"""`timm:NAME` and `timm:NAME@FILE`: a timm model, its names and its own word on heads and size."""

from typing import Any

from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError, read_weights_file
from mim_backbones.checkpoints.source import Content, content_of

PREFIX = 'timm:'


def open_timm(source: str) -> Content:
    """A pretrained timm model (downloaded or cached), or that model with the weights of FILE.

    Raises:
        CheckpointError: timm does not know the name, its weights cannot be had, or FILE cannot be
            read.
    """
    name, separator, file = source.removeprefix(PREFIX).partition('@')
    if separator:
        tensors = content_of(read_weights_file(file), source).tensors
        return Content(source, tensors, said(create(name, pretrained=False)))
    model = create(name, pretrained=True)
    state: dict[str, Tensor] = model.state_dict()
    return Content(source, dict(state), said(model))


def create(name: str, pretrained: bool) -> Any:
    """timm's model; without weights it stays on the meta device."""
    import timm
    import torch

    if not timm.is_model(name.split('.')[0]):
        raise CheckpointError(f'timm knows no model {name!r}; see timm.list_models()')
    if not pretrained:
        with torch.device('meta'):
            return timm.create_model(name, pretrained=False)
    try:
        return timm.create_model(name, pretrained=True)
    except Exception as error:
        # Hub clients raise their own, requests', httpx' and urllib's errors here.
        why = str(error).strip().splitlines()
        raise CheckpointError(
            f'timm: the weights of {name} cannot be had ({why[0] if why else type(error).__name__}'
            f'); download them and give timm:{name}@FILE'
        ) from error


def said(model: Any) -> dict[str, Any]:
    """Heads, window (Swin V2's weights do not show it) and image size, as the model has them."""
    first = next((m for m in model.modules() if hasattr(m, 'num_heads')), None)
    found: dict[str, Any] = {}
    if first is not None and hasattr(model, 'blocks'):
        found['num_heads'] = int(first.num_heads)
    windows = [m.window_size for m in model.modules() if hasattr(m, 'window_size')]
    if windows:
        found['window_size'] = max(w if isinstance(w, int) else w[0] for w in windows)
    size = getattr(getattr(model, 'patch_embed', None), 'img_size', None)
    if size is not None:
        found['img_size'] = tuple(size)
    return found
