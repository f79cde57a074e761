"""VQ-KD at the size of the demo: 512 codes for 8 px patches, about a minute on two cores.

Not a published recipe. The teacher is a small ViT with random weights: its features are hardly
more than random projections of a patch, so that the codes stand for colours and edges, not for
what a trained teacher would see. With a teacher of your own: model.target.teacher.checkpoint=FILE.
tools/train.py configs/pretrain/vqkd_demo.py --data DATA
"""
_base_ = ['../_base_/pretrain_images.py', '../_base_/runtime.py']

batch_size = 96
samples_per_epoch = 9600    # 100 steps, whatever the number of images

model = dict(
    type='VQKD',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=128, depth=3, num_heads=4),
        img_size=64, patch_size=8,
        pos_embed='learned', qkv_bias='qv', final_norm=False, fc_norm=True),
    codebook=dict(codes=512, dim=16, decay=0.99, reseed_after=100),
    decoder=dict(arch=dict(embed_dim=128, depth=1, num_heads=4)),
    target=dict(
        type='FeatureTarget',
        teacher=dict(
            type='BackboneTeacher', random_weights=True,
            backbone=dict(
                type='mim_backbones.MIMViT', arch=dict(embed_dim=128, depth=2, num_heads=4),
                patch_size=8, pos_embed='none'))))

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=1,
    sampler=dict(samples_per_epoch=samples_per_epoch),
    dataset=dict(scale=(0.2, 0.35), interpolation='bicubic'))

auto_scale_lr = dict(enable=True, base_batch_size=batch_size)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    constructor='mim_backbones.LayerDecayConstructor',
    optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=1e-4))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=1, min_ratio=0.05,
        convert_to_iter_based=True)]
train_cfg = dict(max_epochs=4)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(interval=4, max_keep_ckpts=1))
custom_hooks = [
    dict(type='SkippedImages', limit=0.01),
    dict(type='BindData'),
    dict(type='MethodRecord'),
    dict(type='CodebookHealthHook', interval=100)]
