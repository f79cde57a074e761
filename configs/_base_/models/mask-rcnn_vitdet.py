"""Mask R-CNN of ViTDet: heads with LayerNorm over a plain ViT's simple pyramid, squares of 1024 px.

    last map of stride 16 -> strides 4, 8, 16, 32, 64 -> RPN of two convolutions
    -> regions -> boxes by 4 convolutions and 1 linear layer, masks by 4 convolutions
    paper: ViTDet, arXiv 2203.16527; numbers as in detectron2's release

A recipe says arch, drop path, global blocks and checkpoint; another side changes `img_size` and
`pad_size_divisor` together: a picture, at most of that side, is padded to the square.
"""

num_classes = 80
channels = 256
side = 1024
strides = [4, 8, 16, 32]
norm = dict(type='mim_backbones.LayerNorm2d', eps=1e-6)

box_coder = dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4)
no_sampling = dict(type='RoIAlign', sampling_ratio=0)  # as many points as the region is large
proposals = dict(max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)

model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=side),
    backbone=dict(
        type='mim_backbones.MIMViT',
        arch='base',
        img_size=side,
        patch_size=16,
        # The table of pre-training, trained on and resized in every pass.
        pos_embed='learned',
        pos_embed_size=224,
        rel_pos_bias='none',
        num_registers=0,
        cls_token=False,
        final_norm=False,
        window_size=14,
        global_blocks=(2, 5, 8, 11),
        decomposed_rel_pos=True,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.SimpleFeaturePyramid',
        in_channels=768,
        out_channels=channels,
        patch_size=16,
        strides=strides,
        extra_levels=1),
    rpn_head=dict(
        type='RPNHead',
        num_convs=2,
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[8],
            ratios=[0.5, 1.0, 2.0],
            strides=[*strides, 64]),
        bbox_coder=dict(target_stds=[1.0] * 4, **box_coder),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(output_size=7, **no_sampling),
            out_channels=channels,
            featmap_strides=strides),
        bbox_head=dict(
            type='Shared4Conv1FCBBoxHead',
            in_channels=channels,
            conv_out_channels=channels,
            fc_out_channels=1024,
            roi_feat_size=7,
            num_classes=num_classes,
            norm_cfg=norm,
            bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2], **box_coder),
            reg_class_agnostic=False,
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(output_size=14, **no_sampling),
            out_channels=channels,
            featmap_strides=strides),
        mask_head=dict(
            type='FCNMaskHead',
            num_convs=4,
            in_channels=channels,
            conv_out_channels=channels,
            num_classes=num_classes,
            norm_cfg=norm,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.0,  # every object has an anchor, however badly it fits
                match_low_quality=True,
                ignore_iof_thr=-1),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False),
            allowed_border=-1,
            pos_weight=-1,
            debug=False),
        rpn_proposal=dict(nms_pre=2000, **proposals),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=-1),
            sampler=dict(
                type='RandomSampler',
                num=512,
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True),
            mask_size=28,
            pos_weight=-1,
            debug=False)),
    test_cfg=dict(
        rpn=dict(nms_pre=1000, **proposals),
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=100,
            mask_thr_binary=0.5)))
