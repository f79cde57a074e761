"""Cascade Mask R-CNN as detectron2 trains it, for ViTDet: three stages of boxes, one of masks.

    regions -> boxes of stage 1 -> boxes of stage 2 -> boxes of stage 3;  masks of stage 1's samples
    Cascade R-CNN: arXiv 1906.09756; with ViTDet: 2203.16527

mmdet's own has a mask head per stage. A recipe says the rest of detectron2's way by options: equal
weights of the stages, and samplers that take every region after the first stage.
"""

from typing import Any

import torch.nn as nn
from mmdet.models.roi_heads import CascadeRoIHead
from mmdet.models.utils import empty_instances
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from downstream.registry import MODELS


@MODELS.register_module()
class OneMaskCascade(CascadeRoIHead):
    """See the module. Arguments as of mmdet's CascadeRoIHead; `mask_head` is one config.

    Every stage sends a share of its box gradient, 1 / stages, back to the maps. Scores are the mean
    of the stages' probabilities, where mmdet's are those of the mean logits.
    """

    def init_mask_head(self, mask_roi_extractor: dict, mask_head: dict) -> None:
        self.mask_head = nn.ModuleList([MMDET_MODELS.build(mask_head)])
        self.share_roi_extractor = False
        self.mask_roi_extractor = nn.ModuleList([MMDET_MODELS.build(mask_roi_extractor)])

    def _bbox_forward(self, stage: int, x: tuple[Tensor, ...], rois: Tensor) -> dict[str, Tensor]:
        extractor = self.bbox_roi_extractor[stage]
        pooled = extractor(x[: extractor.num_inputs], rois)
        pooled = scale_gradient(pooled, 1 / self.num_stages)
        scores, boxes = self.bbox_head[stage](pooled)
        if not self.training:
            scores = scores.softmax(-1)
        return dict(cls_score=scores, bbox_pred=boxes, bbox_feats=pooled)

    def _refine_roi(self, *args: Any, **kwargs: Any) -> tuple:
        """The mean probabilities as logits, of which the box head takes the softmax."""
        rois, scores, boxes = super()._refine_roi(*args, **kwargs)
        return rois, [each.log() for each in scores], boxes

    def _mask_forward(self, stage: int, x: tuple[Tensor, ...], rois: Tensor) -> dict[str, Tensor]:
        return super()._mask_forward(0, x, rois)

    def mask_loss(self, stage: int, *args: Any) -> dict[str, Any]:
        """Of the first stage's samples; the other stages have none."""
        return dict(loss_mask={}) if stage else super().mask_loss(stage, *args)

    def predict_mask(
        self, x: tuple[Tensor, ...], batch_img_metas: list[dict], results_list: list, **kwargs: Any
    ) -> list:
        regions = bbox2roi([found.bboxes for found in results_list])
        if not len(regions):
            return empty_instances(
                batch_img_metas,
                regions.device,
                task_type='mask',
                instance_results=results_list,
                mask_thr_binary=self.test_cfg.mask_thr_binary,
            )
        masks = self._mask_forward(0, x, regions)['mask_preds']
        return self.mask_head[0].predict_by_feat(
            mask_preds=masks.split([len(found) for found in results_list]),
            results_list=results_list,
            batch_img_metas=batch_img_metas,
            rcnn_test_cfg=self.test_cfg,
            **kwargs,
        )


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """The same values; the gradient times `factor`."""
    return x * factor + (x * (1 - factor)).detach()
