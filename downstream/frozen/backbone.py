"""A backbone that is only read: no gradients, no optimizer, no checkpoint, no DDP, no dropout.

    image (B, 3, H, W) -> maps of the protocol's blocks, rounded to bf16

A model on it is a stock one of mmdet or mmseg with `OnFrozenBackbone` in front:

    class FrozenSegmentor(OnFrozenBackbone, EncoderDecoder): ...

Training images go through one at a time, so that the features of a view do not depend on the batch
it is in: what comes from disk is bit for bit what would be computed.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from downstream.evaluation.fingerprint import tensors_digest
from downstream.frozen.cache import Entry, FeatureCache, default_folder
from mim_backbones.training.precision import fast_bf16

Maps = tuple[Tensor, ...]


class FrozenBackbone:
    """A plain object on purpose: the module that holds it never sees the backbone.

    Its weights are read (`init_cfg`) when it is first asked, as a test of heads does not initialise
    a model.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net.eval().requires_grad_(False)
        self.device: torch.device | None = None

    def on(self, device: torch.device) -> nn.Module:
        """The backbone with its weights, on a device."""
        if device != self.device:
            if self.device is None and device.type != 'meta':
                self.net.init_weights()
                self.net.eval().requires_grad_(False)
            self.net.to(device)
            self.device = device
        return self.net

    def __call__(self, image: Tensor) -> Maps:
        """image (B, 3, H, W), normalised -> maps (B, C, h, w) bf16."""
        net, device = self.on(image.device), image.device.type
        with torch.inference_mode(), precision(device):
            return tuple(each.bfloat16() for each in net(image))

    def digest(self, device: torch.device, *inputs: Any) -> str:
        """See `digest_of`."""
        return digest_of(self.on(device), device, *inputs)


def digest_of(net: nn.Module, device: torch.device, *inputs: Any) -> str:
    """Of weights, options, precision and what is done to an image before (plain values)."""
    options = getattr(net, 'built_with', repr(net))
    computed = (type(net).__name__, options, device.type, fast_bf16(device.type), inputs)
    text = json.dumps([tensors_digest(net.state_dict()), computed], default=str, sort_keys=True)
    return hashlib.sha256(f'{text} {torch.__version__}'.encode()).hexdigest()[:32]


def precision(device: str) -> AbstractContextManager:
    """bf16 where it is fast, else float32, whatever is around; 'meta' has neither."""
    if device == 'meta':
        return nullcontext()
    return torch.autocast(device, torch.bfloat16, enabled=fast_bf16(device))


class OnFrozenBackbone:
    """Mixin for detectors and segmenters: heads alone are trained and saved.

    Args:
        cache_bytes: what features of training views may take on disk, all of `cache_folder`
            together; 0: what is there is read, nothing is written.
        cache_folder: None: see `cache.py`.
        options: of the class that is mixed into.
    """

    def __init__(
        self, cache_bytes: int = 64 * 2**30, cache_folder: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.backbone = FrozenBackbone(self._modules.pop('backbone'))  # type: ignore[attr-defined]
        self.cache_bytes = cache_bytes
        self.cache_folder = Path(cache_folder or default_folder())
        self.cache: FeatureCache | None = None

    def open_cache(self, device: torch.device, *inputs: Any) -> None:
        """`inputs`: see `FrozenBackbone.digest`."""
        digest = self.backbone.digest(device, *inputs)
        self.cache = FeatureCache(digest, self.cache_bytes, self.cache_folder)

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Any]:
        """As of any model of mmdet and mmseg; samples bring what they are kept as."""
        maps = [self._of(image[None], sample) for image, sample in zip(inputs, data_samples)]
        stacked = tuple(torch.cat(level) for level in zip(*maps))
        return super().loss(stacked, data_samples)  # type: ignore[misc]

    def extract_feat(self, inputs: Tensor | Maps) -> Any:
        """What the neck makes of an image (B, 3, H, W), or of its maps."""
        maps = inputs if isinstance(inputs, tuple) else self.backbone(inputs)
        maps = tuple(each.float() for each in maps)
        return self.neck(maps) if self.with_neck else maps  # type: ignore[attr-defined]

    def _of(self, image: Tensor, sample: Any) -> Maps:
        """Maps (1, C, h, w) bf16 of one training view: kept ones, or computed and kept."""
        key, kept = sample.metainfo.get('feature_key'), sample.get('kept_maps')
        if kept is None and key is not None and self.cache is not None:
            entry = self.cache.get(key)
            kept = entry and entry.maps
        if kept is not None:
            return tuple(each[None].to(image.device, non_blocking=True) for each in kept)
        maps = self.backbone(image)
        if key is not None and self.cache is not None:
            self.cache.put(key, Entry(tuple(each[0] for each in maps), sample.ori_shape))
        return maps
