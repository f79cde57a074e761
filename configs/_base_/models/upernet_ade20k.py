"""UperNet on ADE20K at 512 px, heads of full size; a family's recipe adds backbone and neck.

    four maps of strides 4, 8, 16, 32 -> pyramid pooling + FPN head, FCN head on the third beside it
    head: UperNet, arXiv 1807.10221; numbers as in mmsegmentation, which all releases share

Heads of 512 and 256 channels, as on Swin; on plain ViTs the decoder is as wide as the backbone.
"""

num_classes = 150
norm_cfg = dict(type='BN')
sync_bn = 'torch'  # heads and pyramid; on one process the same as plain batch norm
# The mean runs over ignored pixels too, which count as zeros: as published.
cross_entropy = dict(type='CrossEntropyLoss', use_sigmoid=False, avg_non_ignore=False)

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
    decode_head=dict(
        type='UPerHead',
        in_channels=[768] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        num_classes=num_classes,
        ignore_index=255,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(loss_weight=1.0, **cross_entropy)),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=768,
        in_index=2,
        channels=256,
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
