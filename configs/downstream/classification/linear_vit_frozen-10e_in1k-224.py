"""Linear probes of every block of a frozen plain ViT, ImageNet-1K, 224 px, 10 epochs.

    every block x CLS, mean, both x no norm, the final norm, BatchNorm x 5 learning rates,
    trained in one pass by SGD; the probe that is best on a hundredth of the training pictures,
    which no probe learns from, counts, and the whole grid stands in the result
    random crops and flips

Compares with no published row: the best of many probes, and a tenth of the usual epochs.
"""
_base_ = [
    '../../_base_/datasets/imagenet_224px.py',
    '../../_base_/runtime.py',
]
default_scope = 'downstream'
protocol = dict(
    name='linear-vit-in1k', version='1', task='classification', tier='proxy', family='vit')

held_out = 0.01
model = dict(
    type='downstream.LinearGrid',
    num_classes=1000,
    blocks=None,
    pools=('cls', 'mean', 'cls_mean'),
    norms=('none', 'final', 'batch'),
    rates=(0.1, 0.3, 1.0, 3.0, 10.0),
    head_std=0.01,
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
train_dataloader = dict(dataset=dict(held_out=held_out, view=dict(rand_augment='')))
val_dataloader = dict(dataset=dict(held_out=held_out))
test_dataloader = val_dataloader

epochs = 10
auto_scale_lr = dict(enable=False, base_batch_size=1024)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper', precision='auto',
    constructor='downstream.GridRates',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=0, min_ratio=0.0, end=epochs)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
