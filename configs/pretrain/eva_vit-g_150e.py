"""EVA, ViT-g/14, CLIP ViT-L/14 as teacher, 150 epochs, 30M images, 224 px.

paper: arXiv 2211.07636; numbers as in the released recipe (baaivision/EVA, EVA-01)
batch 4096   reported fine-tune top-1: 89.6 at 336 px, after ImageNet-21K   reproduced here: not yet
tools/dist_train.sh configs/pretrain/eva_vit-g_150e.py 128 --data DATA \
    --cfg-options model.target.teacher.checkpoint=clip_vit-l14.pth
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['beitv2.py']

model = dict(
    _delete_=True,
    type='SimMIM',
    cut_start=True,
    mean=(0.48145466, 0.4578275, 0.40821073),    # CLIP's, of the student's view too
    std=(0.26862954, 0.26130258, 0.27577711),
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=1408, depth=40, num_heads=16),
        mlp_ratio=6144 / 1408, img_size=224, patch_size=14, qkv_bias='qv', mask_token=True,
        drop_path_rate=0.1),
    target=dict(
        type='FeatureTarget', aligner='input',    # 224 px for patches of 14
        teacher=dict(type='CLIPTeacher', checkpoint=None)),
    loss='cosine', shift=0.0, scale=1.0)
train_dataloader = dict(
    batch_size=32,
    dataset=dict(jitter=0.0, masker=dict(ratio=105 / 256, exact=False)))
auto_scale_lr = dict(enable=False, base_batch_size=4096)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3, eps=1e-6),
    paramwise_cfg=dict(decayed=['mask_token']))    # as released
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=2, min_ratio=1e-5 / 1e-3,
        convert_to_iter_based=True, peak_in_warmup=True)]  # the released curve
train_cfg = dict(max_epochs=150)
