"""mmseg's EncoderDecoder with another inference: windows in batches, label maps plane by plane.

    pictures -> windows -> (batches of one shape) backbone, neck, head -> logits of each window
    label of a pixel: largest mean, over the windows that hold it, of their resized logits

Training is mmseg's. Labels are those of its `whole` and `slide` inference: the same windows, summed
in the same order and resized by the same operations; what differs is that windows, of one picture
or of several of any sizes, share forward passes, and that logits of whole pictures never exist in
full (labels.py).
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from downstream.registry import MODELS
from downstream.segmentation.labels import (
    Planes,
    largest,
    mean_probability,
    resized,
    resized_planes,
)

WINDOWS = 8
Box = tuple[int, int, int, int]  # first row, one behind the last, first column, one behind the last


@MODELS.register_module()
class WindowSegmentor(EncoderDecoder):
    """EncoderDecoder for heads that classify pixels.

    Args: those of mmseg's EncoderDecoder. `test_cfg` has
        mode: 'whole', or 'slide' with crop_size and stride, (H, W) in pixels;
        windows (8): most windows in a forward pass; in mode 'whole' a picture is one;
        keep_logits (False): whether predictions hold `seg_logits`, hundreds of MB a picture.

    Raises:
        ValueError: the head predicts in a way of its own, or by one channel.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        head = type(self.decode_head)
        for name in ('predict', 'predict_by_feat'):
            if getattr(head, name) is not getattr(BaseDecodeHead, name):
                raise ValueError(
                    f"WindowSegmentor: {head.__name__} has a {name} of its own; use type='mmseg."
                    "EncoderDecoder'"
                )
        if self.out_channels < self.num_classes:
            raise ValueError(
                'WindowSegmentor: labels are the largest of num_classes channels; leave out '
                f'out_channels={self.out_channels}'
            )

    def predict(
        self, inputs: Tensor | Sequence[Tensor], data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """pictures (3, H, W) each, normalised -> samples with `pred_sem_seg` (1, H, W) int64.

        Without data samples, label maps have the pictures' sizes.
        """
        samples = data_samples or [SegDataSample() for _ in inputs]
        for sample, planes in zip(samples, self.planes(inputs, samples), strict=True):
            if (self.test_cfg or {}).get('keep_logits'):
                sample.seg_logits = PixelData(data=planes.make(0, planes.channels)[0])
            sample.pred_sem_seg = PixelData(data=largest(planes))
        return samples

    def planes(
        self, inputs: Tensor | Sequence[Tensor], samples: Sequence[SegDataSample]
    ) -> list[Planes]:
        """Logits of every picture at its original size, to be made on request."""
        boxes = [self._boxes(picture) for picture in inputs]
        logits: list[list[Any]] = [[None] * len(each) for each in boxes]
        for places in by_shape(boxes, (self.test_cfg or {}).get('windows', WINDOWS)):
            cut = [
                inputs[i][:, y1:y2, x1:x2] for i, k in places for y1, y2, x1, x2 in [boxes[i][k]]
            ]
            found = self.decode_head(self.extract_feat(torch.stack(cut))).float()
            for (i, k), one in zip(places, found):
                logits[i][k] = one[None]
        return [
            at_original_size(
                overlapped(mine, around, tuple(picture.shape[1:]), self.align_corners),
                sample.metainfo,
                self.align_corners,
            )
            for mine, around, picture, sample in zip(logits, boxes, inputs, samples)
        ]

    def _boxes(self, picture: Tensor) -> list[Box]:
        _, height, width = picture.shape
        cfg = self.test_cfg or {}
        if cfg.get('mode', 'whole') == 'whole':
            return [(0, height, 0, width)]
        return window_boxes(height, width, cfg['crop_size'], cfg['stride'])


def window_boxes(height: int, width: int, crop: Sequence[int], stride: Sequence[int]) -> list[Box]:
    """Windows of `crop` (H, W) pixels every `stride` (H, W) pixels, row by row.

    The last of a row or column ends where the picture does, without padding; a picture smaller than
    a window is one smaller window.
    """
    rows = _spans(height, crop[0], stride[0])
    columns = _spans(width, crop[1], stride[1])
    return [(*row, *column) for row in rows for column in columns]


def _spans(length: int, crop: int, stride: int) -> list[tuple[int, int]]:
    count = max(length - crop + stride - 1, 0) // stride + 1
    ends = [min(i * stride + crop, length) for i in range(count)]
    return [(max(end - crop, 0), end) for end in ends]


def by_shape(boxes: Sequence[Sequence[Box]], most: int) -> list[list[tuple[int, int]]]:
    """Places (picture, window) of windows of equal shape, at most `most` together."""
    shapes: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, windows in enumerate(boxes):
        for k, (y1, y2, x1, x2) in enumerate(windows):
            shapes.setdefault((y2 - y1, x2 - x1), []).append((i, k))
    return [
        places[start : start + most]
        for places in shapes.values()
        for start in range(0, len(places), most)
    ]


def overlapped(
    logits: Sequence[Tensor], boxes: Sequence[Box], size: tuple[int, int], align_corners: bool
) -> Planes:
    """Logits (1, C, h, w) of windows -> planes (1, K, H, W): the mean where windows overlap."""
    windows = [
        resized(one, (y2 - y1, x2 - x1), align_corners)
        for one, (y1, y2, x1, x2) in zip(logits, boxes)
    ]
    if len(windows) == 1:
        return windows[0]
    count = logits[0].new_zeros(1, 1, *size)
    for y1, y2, x1, x2 in boxes:
        count[:, :, y1:y2, x1:x2] += 1

    def make(first: int, behind: int) -> Tensor:
        total = count.new_zeros(1, behind - first, *size)
        for window, (y1, y2, x1, x2) in zip(windows, boxes):
            total[:, :, y1:y2, x1:x2] += window.make(first, behind)
        return total.div_(count)

    return Planes(make, windows[0].channels, (1, *size))


def at_original_size(planes: Planes, meta: dict[str, Any], align_corners: bool) -> Planes:
    """Without padding, turned back, resized; `meta` is the picture's, empty: as it is."""
    left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', [0] * 4))
    _, height, width = planes.shape
    turned = {'horizontal': [3], 'vertical': [2], None: []}
    axes = turned[meta.get('flip_direction') if meta.get('flip') else None]

    def make(first: int, behind: int) -> Tensor:
        picture = planes.make(first, behind)[..., top : height - bottom, left : width - right]
        return picture.flip(axes) if axes else picture

    shown = (height - bottom - top, width - right - left)
    upright = Planes(make, planes.channels, (1, *shown))
    size = meta.get('ori_shape')
    return upright if size is None else resized_planes(upright, tuple(size[:2]), align_corners)


@MODELS.register_module()
class MergedViews(BaseTTAModel):
    """Several scales and mirror images of each picture: the mean of their probabilities.

    As mmseg's SegTTAModel, without the logits of all views at once. `module` is a WindowSegmentor.
    """

    def test_step(self, data: dict[str, list[Any]]) -> list[SegDataSample]:
        """data: key -> one batch for each view."""
        views = [dict(zip(data, batches)) for batches in zip(*data.values())]
        found = [self.module.data_preprocessor(view, False) for view in views]
        planes = [self.module.planes(one['inputs'], one['data_samples']) for one in found]
        samples = found[0]['data_samples']
        for sample, of_views in zip(samples, zip(*planes)):
            sample.pred_sem_seg = PixelData(data=largest(mean_probability(of_views)))
        return samples

    def merge_preds(self, data_samples_list: list[Any]) -> list[Any]:
        raise NotImplementedError('views are merged before they become predictions')


@MODELS.register_module()
class PictureNormalizer(SegDataPreProcessor):
    """mmseg's preprocessor; test pictures of a batch may differ in size, each is padded alone.

    In training a batch (B, 3, H, W); for a test a list of pictures (3, H, W).
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        if training:
            return super().forward(data, training)
        samples = data.get('data_samples') or [SegDataSample() for _ in data['inputs']]
        found = [
            super(PictureNormalizer, self).forward({'inputs': [picture], 'data_samples': [sample]})
            for picture, sample in zip(data['inputs'], samples, strict=True)
        ]
        return {
            'inputs': [one['inputs'][0] for one in found],
            'data_samples': [one['data_samples'][0] for one in found],
        }
