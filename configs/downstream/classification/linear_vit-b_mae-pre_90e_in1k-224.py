"""MAE's linear probe of a ViT-B, ImageNet-1K, 224 px, 90 epochs.

paper: arXiv 2111.06377, Table 10 and facebookresearch/mae main_linprobe.py   batch 16384
reported top-1: 67.8 (pre-trained 1600 epochs)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/linear_vit-b_mae-pre_90e_in1k-224.py 128 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

One probe: the CLS token behind the final norm and BatchNorm, by LARS.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['linear_vit_frozen-10e_in1k-224.py']
protocol = dict(
    name='linear-vit-b-mae', tier='full', arch='base', framework='linear probe')

held_out = 0.0
model = dict(
    blocks=(-1,), pools=('cls',), norms=('final_batch',), rates=(1.0,),
    backbone=dict(patch_size=16))
train_dataloader = dict(dataset=dict(held_out=held_out))
val_dataloader = dict(dataset=dict(held_out=held_out))
test_dataloader = val_dataloader

epochs = 90
auto_scale_lr = dict(base_batch_size=16384)
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='mim_backbones.LARS', lr=0.1 * 16384 / 256, momentum=0.9,
        weight_decay=0.0))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', by_epoch=True, convert_to_iter_based=True,
        warmup=10, min_ratio=0.0, end=epochs)]
train_cfg = dict(max_epochs=epochs, val_interval=1)
