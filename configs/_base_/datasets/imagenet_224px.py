"""ImageNet-1K at 224 px: random crop, flip and RandAugment; the centre of test pictures."""

data_root = 'data/imagenet'
size = 224

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='downstream.LabelledPictures',
        root=data_root,
        split='train',
        view=dict(
            type='downstream.TrainView', img_size=size, rand_augment='rand-m9-mstd0.5-inc1')))
val_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='downstream.LabelledPictures',
        root=data_root,
        split='val',
        view=dict(type='downstream.CentreView', img_size=size)))
test_dataloader = val_dataloader

val_evaluator = dict(type='downstream.TopK')
test_evaluator = val_evaluator
