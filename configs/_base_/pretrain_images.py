"""Unlabelled images for pre-training: crop, flip, mask. ImageNet-1K by default.

Image size, patch size and what the target has to see follow from `model`: a recipe says them there.
"""
default_scope = 'pretrain'
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeededSampler', shuffle=True, seed=0),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='UnlabelledImages', root='data/imagenet/train'))
train_cfg = dict(by_epoch=True)
custom_hooks = [
    dict(type='SkippedImages', limit=0.01),
    dict(type='BindData'),
    dict(type='UpdateTarget'),
    dict(type='MethodRecord'),
    dict(type='ReconstructionPictures', interval=20)]
