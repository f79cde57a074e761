"""ADE20K-style label maps: shorter side 128 px, crops of 128 x 128. Decoded once, kept in memory.

data_root, classes and the label convention follow `mimbench eval --data`, or `--cfg-options`.
"""

dataset_type = 'BaseSegDataset'
data_root = 'data/ade/ADEChallengeData2016/'
ignore_index = 255
reduce_zero_label = True
metainfo = dict(classes=('wall', 'building', 'sky', 'floor', 'tree', 'ceiling', 'road', 'bed'))
size = (128, 128)
scale = (512, 128)  # longer side at most, shorter side at most; the ratio stays

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='downstream.CachedDataset',
        dataset=dict(
            type=dataset_type,
            data_root=data_root,
            metainfo=metainfo,
            data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
            ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='downstream.LoadLabels', num_classes=8),
                dict(type='Resize', scale=scale, keep_ratio=True),
            ]),
        pipeline=[
            dict(
                type='RandomCrop', crop_size=size, cat_max_ratio=0.75, ignore_index=ignore_index),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs'),
        ]))

val_dataloader = dict(
    batch_size=1,  # pictures differ in shape
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        ignore_index=ignore_index,
        reduce_zero_label=reduce_zero_label,
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=scale, keep_ratio=True),
            # After the resize: the truth keeps its own resolution.
            dict(type='downstream.LoadLabels', num_classes=8),
            dict(type='PackSegInputs'),
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(type='downstream.PixelIoU', ignore_index=ignore_index)
test_evaluator = val_evaluator
