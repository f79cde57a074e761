"""Semantic FPN on a plain ViT-Ti, ADE20K at 512 px.

    four ViT blocks -> strides 4, 8, 16, 32 of a quarter of the channels -> added up at stride 4
    head: Semantic FPN, arXiv 1901.02446; pyramid: wangsr126/MAE-Lite, projects/eval_tools/seg
"""

norm_cfg = dict(type='BN')
sync_bn = 'torch'  # head and pyramid; on one process the same as plain batch norm
width = 192
channels = width // 4

model = dict(
    type='downstream.WindowSegmentor',
    # Test pictures are not padded, as published: windows lie in the picture itself.
    data_preprocessor=dict(
        type='downstream.PictureNormalizer',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(512, 512),
        pad_val=0,
        seg_pad_val=255,
        test_cfg=None),
    backbone=dict(
        type='mim_backbones.MIMViT', arch='tiny-h12', img_size=512, patch_size=16,
        # Maps of blocks as they are: no norm after any of them.
        out_indices=(3, 5, 7, 11), final_norm=False, drop_path_rate=0.1,
        pos_embed='learned',
        # Both change nothing at first: tables of zeros, a layer scale of ones.
        rel_pos_bias='per_block', layer_scale=1.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=dict(
        type='mim_backbones.BlockPyramid',
        in_channels=width, out_channels=channels, patch_size=16, strides=(4, 8, 16, 32)),
    decode_head=dict(
        type='FPNHead',
        in_channels=[channels] * 4,
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=128,
        dropout_ratio=0.1,
        num_classes=150,
        ignore_index=255,
        norm_cfg=norm_cfg,
        align_corners=False,
        # The mean runs over ignored pixels too, which count as zeros: as published.
        loss_decode=dict(
            type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
