"""ADE20K, 150 classes: shorter side 256 to 1024 px, crops of 512 x 512; tested at 512 px."""

dataset_type = 'ADE20KDataset'
data_root = 'data/ade/ADEChallengeData2016/'
size = (512, 512)
scale = (2048, 512)  # longer side at most, shorter side at most; the ratio stays

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='downstream.LoadLabels', num_classes=150),
            dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True),
            dict(type='RandomCrop', crop_size=size, cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs'),
        ]))

val_dataloader = dict(
    batch_size=4,  # pictures of any shapes: their windows share forward passes
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=scale, keep_ratio=True),
            # After the resize: the truth keeps its own resolution.
            dict(type='downstream.LoadLabels', num_classes=150),
            dict(type='PackSegInputs'),
        ]))
test_dataloader = val_dataloader

val_evaluator = dict(type='downstream.PixelIoU', ignore_index=255)
test_evaluator = val_evaluator

# Multi-scale and flip, for `tools/test.py --tta`.
tta_model = dict(type='downstream.MergedViews')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(int(2048 * r), int(512 * r)), keep_ratio=True)
                for r in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='downstream.LoadLabels', num_classes=150)],
            [dict(type='PackSegInputs')],
        ]),
]
