"""Cascade Mask R-CNN ViTDet on a plain ViT-B, COCO, 1024 px with large-scale jitter, 100 epochs.

paper: arXiv 2203.16527, numbers as in detectron2's release, projects/ViTDet   batch 64
reported box AP, mask AP: 54.0, 46.7 (MAE, ImageNet-1K; README of the release)
reproduced here: not yet
tools/dist_train.sh \
    configs/downstream/detection/cascade-mask-rcnn-vitdet_vit-b_mae-pre_100e_coco.py 64 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Three stages of boxes that all classes share, one of masks; else the Mask R-CNN of this name.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['mask-rcnn-vitdet_vit-b_mae-pre_100e_coco.py']
protocol = dict(
    name='cascade-mask-rcnn-vitdet-b',
    framework='Cascade Mask R-CNN ViTDet 100e LSJ-1024, detectron2')

channels = 256
norm = dict(type='mim_backbones.LayerNorm2d', eps=1e-6)
weights = [(10, 5), (20, 10), (30, 15)]  # of place and size, by stage

model = dict(
    type='CascadeRCNN',
    roi_head=dict(
        type='downstream.OneMaskCascade',
        num_stages=3,
        stage_loss_weights=[1, 1, 1],
        bbox_head=[
            dict(
                type='Shared4Conv1FCBBoxHead',
                in_channels=channels,
                conv_out_channels=channels,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                norm_cfg=norm,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0] * 4,
                    target_stds=[1 / place, 1 / place, 1 / size, 1 / size]),
                reg_class_agnostic=True,
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='L1Loss', loss_weight=1.0))
            for place, size in weights
        ]),
    train_cfg=dict(
        rcnn=[
            dict(
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=iou,
                    neg_iou_thr=iou,
                    min_pos_iou=iou,
                    match_low_quality=False,
                    ignore_iof_thr=-1),
                sampler=dict(
                    type='RandomSampler',
                    num=512,
                    pos_fraction=fraction,
                    neg_pos_ub=-1,
                    add_gt_as_proposals=True),
                mask_size=28,
                pos_weight=-1,
                debug=False)
            # After the first stage every region is taken: there are no more than 512.
            for iou, fraction in ((0.5, 0.25), (0.6, 1.0), (0.7, 1.0))
        ]))
