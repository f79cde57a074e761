"""COCO with shorter sides of 480 to 800 px, longer ones up to 1333; half the pictures cropped first.

    augmentation: DETR, arXiv 2005.12872; numbers as in Swin's release for mmdet

Test pictures: shorter side 800 px, longer side at most 1333.
"""

dataset_type = 'CocoDataset'
data_root = 'data/coco/'
longest = 1333
scales = [(side, longest) for side in range(480, 801, 32)]
shorter = dict(type='RandomChoiceResize', scales=scales, keep_ratio=True)

train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='RandomChoice',
                transforms=[
                    [shorter],
                    [
                        dict(
                            type='RandomChoiceResize',
                            scales=[(side, longest) for side in (400, 500, 600)],
                            keep_ratio=True),
                        dict(
                            type='RandomCrop',
                            crop_type='absolute_range',
                            crop_size=(384, 600),
                            allow_negative_crop=True),
                        shorter,
                    ],
                ]),
            dict(type='PackDetInputs'),
        ]))

val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(longest, 800), keep_ratio=True),
            # After the resize: the truth keeps the picture's own coordinates.
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='downstream.InstanceAP', ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
