"""COCO with large-scale jitter: flip, a scale of 0.1 to 2.0, a crop of 1024 x 1024.

Test pictures are scaled until the longer side has 1024 px. `size` is one for training and testing.
"""

dataset_type = 'CocoDataset'
data_root = 'data/coco/'
size = (1024, 1024)

train_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            dict(
                type='downstream.LargeScaleJitter',
                size=size,
                ratio_range=(0.1, 2.0),
                flip=0.5,
                pad=False),
            dict(type='PackDetInputs'),
        ]))

val_dataloader = dict(
    batch_size=1,
    num_workers=4,
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
            # Pillow's bilinear filter widens as it shrinks, as in training.
            dict(type='Resize', scale=size, keep_ratio=True, backend='pillow'),
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
