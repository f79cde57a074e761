"""MaskDistill, ViT-B/16, CLIP ViT-B/16 as teacher, 300 epochs, ImageNet-1K, 224 px.

paper: arXiv 2210.10615, never released: numbers as in an independent reproduction
(drkostas/MaskDistill-PyTorch); beta is 1 there, 2 in another (bwconrad/masked-distillation), and
position of blocks, crops and start follow BEiT.
batch 2048   reported fine-tune top-1: 85.3 (paper), 84.8 (reproduction)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/maskdistill_vit-b_300e.py 16 --data DATA \
    --cfg-options model.target.teacher.checkpoint=clip_vit-b16.pth
"""
_base_ = ['beitv2.py']

model = dict(
    _delete_=True,
    type='SimMIM',
    cut_start=True,
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, patch_size=16,
        pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
        mask_token=True, drop_path_rate=0.1),
    target=dict(
        type='FeatureTarget', norm=dict(type='layer', eps=1e-5),
        teacher=dict(type='CLIPTeacher', checkpoint=None, project=False)),
    loss='smooth_l1', beta=1.0)
train_dataloader = dict(
    batch_size=128,
    dataset=dict(jitter=0.0, masker=dict(ratio=0.4)))
optim_wrapper = dict(
    optimizer=dict(betas=(0.9, 0.999)), paramwise_cfg=dict(decayed=[]))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=10, min_ratio=1e-5 / 1.5e-3,
        convert_to_iter_based=True)]
