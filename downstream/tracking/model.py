"""One-stream tracking: template and search tokens go through the same ViT together.

    z = embed(template) + e_z,  x = embed(search) + e_x
    [z, x] -> ViT -> search tokens -> centre head -> box;  loss = focal + 2 (1 - GIoU) + 5 L1

paper: arXiv 2203.11991 (OSTrack), section 3, without candidate elimination
head: head.py   loss: losses.py   data: pairs.py   recipes: configs/downstream/tracking/

The published code trains two tables of positions, one for each crop, that start as the backbone's
resized. e_z and e_x are what is added to the backbone's: they start at zero.
"""

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from downstream.registry import MODELS
from downstream.tracking.data import Sequence
from downstream.tracking.head import CenterHead, HeadMaps, decode, hann_window
from downstream.tracking.losses import tracking_losses
from downstream.tracking.tracker import Track, track_sequences

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@MODELS.register_module()
class CropPreprocessor(BaseDataPreprocessor):
    """Batches of crops, (B, 3, S, S) uint8 RGB -> float32, (x / 255 - mean) / std.

    On the device: a quarter of the bytes travel.

    Args:
        mean, std: per channel, of images in [0, 1].
    """

    def __init__(
        self,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__(non_blocking=True)
        self.register_buffer('mean', 255 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', 255 * torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise `inputs` where it is a dict of crops; whole sequences pass through."""
        data = self.cast_data(data)
        if isinstance(data['inputs'], dict):
            data['inputs'] = {name: self.normalise(x) for name, x in data['inputs'].items()}
        return data

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) uint8, any device -> float32 on the preprocessor's."""
        return (crops.to(self.mean.device, non_blocking=True) - self.mean) / self.std


@MODELS.register_module()
class OneStreamTracker(BaseModel):
    """A tracker made of a ViT and a centre head.

    Args:
        backbone: config of a backbone with `embed_patches`, `encode`, `patch_size`, `embed_dim`
            (mim_backbones.MIMViT without windows, CLS and register tokens).
        head: arguments of CenterHead but its width.
        template_size, search_size: side of the crops in pixels, multiples of the patch size.
        template_factor, search_factor: side of the crops in mean sides of the target.
        loss_weights: of `tracking_losses`: focal_weight, giou_weight, l1_weight.
        margin: while tracking, no box is smaller or less far inside the image than this (pixels).
        published: while tracking, repeat the published crop's slips (crop.py).

    Raises:
        ValueError: a crop is not a multiple of the patch size.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict | None = None,
        template_size: int = 128,
        search_size: int = 256,
        template_factor: float = 2.0,
        search_factor: float = 4.0,
        loss_weights: dict | None = None,
        margin: float = 10,
        published: bool = False,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        # Named here as well, so that importing this module registers it.
        preprocessor = data_preprocessor or {'type': CropPreprocessor}
        super().__init__(MODELS.build(preprocessor), init_cfg)
        self.backbone = MODELS.build(backbone)
        patch = self.backbone.patch_size
        for name, size in (('template_size', template_size), ('search_size', search_size)):
            if size % patch:
                raise ValueError(
                    f'OneStreamTracker: {name}={size} is not a multiple of the patch size {patch}'
                )
        self.head = CenterHead(self.backbone.embed_dim, **(head or {}))
        self.template_size = template_size
        self.search_size = search_size
        self.template_factor = template_factor
        self.search_factor = search_factor
        self.loss_weights = loss_weights or {}
        self.margin = margin
        self.published = published
        self.template_pos = nn.Parameter(self._no_positions(template_size))
        self.search_pos = nn.Parameter(self._no_positions(search_size))
        self.register_buffer('hann', hann_window(search_size // patch), persistent=False)

    def forward(
        self,
        inputs: dict[str, Tensor] | list[Sequence],
        boxes: Tensor | None = None,
        mode: str = 'tensor',
    ) -> HeadMaps | dict[str, Tensor] | list[Track]:
        """What mmengine's loops call.

        mode 'tensor': inputs = {template (B, 3, T, T), search (B, 3, S, S)} -> HeadMaps
        mode 'loss': the same with boxes (B, 4), xywh as fractions of the search crop -> losses
        mode 'predict': inputs = list of sequences, tracked side by side -> one Track for each
        """
        if isinstance(inputs, list):
            assert mode == 'predict'
            return track_sequences(self, inputs)
        maps = self.locate(self.embed_template(inputs['template']), inputs['search'])
        if mode == 'tensor':
            return maps
        assert mode == 'loss'
        assert boxes is not None
        predicted, _ = decode(maps)
        return tracking_losses(maps.score, predicted, boxes.float(), **self.loss_weights)

    def normalise(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) uint8, any device -> what `embed_template` and `locate` take."""
        return self.data_preprocessor.normalise(crops)

    def embed_template(self, template: Tensor) -> Tensor:
        """(B, 3, T, T), normalised -> tokens (B, N, D); the same for a whole sequence."""
        return self.backbone.embed_patches(template) + self.template_pos

    def locate(self, template: Tensor, search: Tensor) -> HeadMaps:
        """Template tokens (B, N, D) and search crops (B, 3, S, S), normalised -> HeadMaps."""
        tokens = self.backbone.embed_patches(search) + self.search_pos
        side = self.template_size // self.backbone.patch_size
        grid = tuple(length // self.backbone.patch_size for length in search.shape[-2:])
        encoded = self.backbone.encode(torch.cat([template, tokens], dim=1), [(side, side), grid])
        found = encoded[:, template.shape[1] :].transpose(1, 2).unflatten(2, grid)
        return self.head(found.contiguous())

    def _no_positions(self, size: int) -> Tensor:
        return torch.zeros(1, (size // self.backbone.patch_size) ** 2, self.backbone.embed_dim)
