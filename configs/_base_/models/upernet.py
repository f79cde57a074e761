"""UperNet sized for pictures of 128 px; a recipe adds backbone and neck.

    four maps of strides 4, 8, 16, 32 -> pyramid pooling + FPN head, FCN head on the third beside it
    head: UperNet, arXiv 1807.10221

Class count and ignored label follow the data, channels the backbone.
"""

num_classes = 8
norm_cfg = dict(type='BN')
channels = 64
cross_entropy = dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=True)

model = dict(
    type='downstream.WindowSegmentor',
    data_preprocessor=dict(
        type='downstream.PictureNormalizer',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(128, 128),
        pad_val=0,
        seg_pad_val=255,
        test_cfg=dict(size_divisor=32)),
    decode_head=dict(
        type='UPerHead',
        in_channels=[192] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=channels,
        dropout_ratio=0.1,
        num_classes=num_classes,
        ignore_index=255,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(loss_weight=1.0, **cross_entropy)),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=192,
        in_index=2,
        channels=channels,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=num_classes,
        ignore_index=255,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(loss_weight=0.4, **cross_entropy)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
