"""BEiT v2 at the size of the demo, on the tokens of configs/pretrain/vqkd_demo.py.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/beitv2_demo.py --data DATA \
    --cfg-options model.target.tokenizer.checkpoint=work_dirs/vqkd_demo/epoch_4.pth
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

batch_size = 96
samples_per_epoch = 9600    # 100 steps, whatever the number of images

model = dict(
    type='BEiTv2',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=128, depth=6, num_heads=4),
        img_size=64, patch_size=8,
        pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
        mask_token=True),
    early_layers=4, head_layers=2, cls_start='beit',
    target=dict(
        type='TokenTarget',
        tokenizer=dict(type='BEiTv2Tokenizer', checkpoint='work_dirs/vqkd_demo/epoch_4.pth')))

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    sampler=dict(samples_per_epoch=samples_per_epoch),
    dataset=dict(
        # Crops of about their own size in the 128 px pictures: textures as the tasks see them.
        interpolation='bicubic', scale=(0.2, 0.35), jitter=0.4,
        masker=dict(type='BlockwiseMasker', ratio=0.4, min_block=4)))

auto_scale_lr = dict(enable=True, base_batch_size=batch_size)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=3.0),
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.05),
    paramwise_cfg=dict(decayed=['relative_position_bias_table', 'mask_token']))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=1, min_ratio=0.01,
        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=10)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=5, max_keep_ckpts=1))
