"""Nearest patches on a frozen plain ViT, ADE20K, 512 px, one pass over the pictures.

    last block, after its final norm where the checkpoint has one -> patches of unit length
    a million of training patches, as many of each picture, drawn by seed
    -> soft vote of the 30 nearest, temperature 0.02 (arXiv 2306.01667)
    one view of each picture, the first of the linear probe's: the two share their features

Scored as linear_vit_frozen-20k_ade20k-512.py. Compares with no published row.
"""
_base_ = ['linear_vit_frozen-20k_ade20k-512.py']
custom_imports = dict(imports=['downstream.frozen.segmentor', 'downstream.segmentation.probe.nearest'])
protocol = dict(name='knn-vit')
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True), checkpoint=dict(by_epoch=True, interval=1))
log_processor = dict(by_epoch=True)
custom_hooks = [dict(type='downstream.KeepFeatures'), dict(type='downstream.FillBank')]

model = dict(
    decode_head=dict(
        _delete_=True,
        type='downstream.NearestPatches',
        in_channels=[768], num_classes=150, ignore_index=255,
        neighbours=30, temperature=0.02, bank_size=1_000_000))

train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(views=1))
# Nothing is learnt: the loop shows every view once.
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3))
auto_scale_lr = dict(enable=False)
param_scheduler = None
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
