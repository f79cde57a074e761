"""COCO-style instances, pictures fitted into 128 x 128. Decoded once, then kept in memory.

data_root and the names below it follow `mimbench eval --data`, or `--cfg-options`.
"""

dataset_type = 'CocoDataset'
data_root = 'data/coco/'
size = (128, 128)

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='downstream.CachedDataset',
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            filter_cfg=dict(filter_empty_gt=False),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                dict(type='Resize', scale=size, keep_ratio=True),
            ]),
        pipeline=[
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ]))

val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=size, keep_ratio=True),
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
