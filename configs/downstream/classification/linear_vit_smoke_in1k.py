"""Linear probes of every block of a frozen plain ViT, 64 px, a few minutes on one core: ranks nothing.

    the grid of linear_vit_frozen-10e_in1k-224.py, 30 epochs over the features of four fixed random
    crops of each picture, computed once; chosen on a tenth of the training pictures

mimbench eval CKPT --protocol linear-vit-smoke --data DATA --out OUT
By LARS: --cfg-options "optim_wrapper.optimizer={'_delete_': True, 'type': 'mim_backbones.LARS',
'lr': 6.4, 'momentum': 0.9, 'weight_decay': 0.0}"
"""
_base_ = ['linear_vit_frozen-10e_in1k-224.py']
protocol = dict(name='linear-vit-smoke', tier='smoke', by_name=True)
custom_hooks = [dict(type='downstream.ReadFeatures')]

size = 64
held_out = 0.1
model = dict(
    backbone=dict(
        arch='tiny', img_size=size, patch_size=8))
# Decoding is over before the first step.
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    batch_size=64, **loader,
    dataset=dict(
        _delete_=True, type='downstream.FixedPictures', root='data/imagenet', views=4,
        held_out=held_out, view=dict(type='downstream.TrainView', img_size=size, scale=(0.2, 1.0))))
val_dataloader = dict(**loader, dataset=dict(held_out=held_out, view=dict(img_size=size)))
test_dataloader = val_dataloader

epochs = 30
auto_scale_lr = dict(base_batch_size=64)
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=0, min_ratio=0.0, end=epochs)]
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
default_hooks = dict(checkpoint=dict(interval=epochs))
