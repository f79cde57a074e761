"""D-MAE-Lite, ViT-S/16 with 12 heads and MAE's ViT-B as its teacher, 400 epochs, 224 px.

batch 4096   reported fine-tune top-1: 82.5 (300 epochs)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/d-mae-lite_vit-s_400e.py 16 --data DATA \
    --cfg-options model.teacher.checkpoint=mae_pretrain_vit_base.pth
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['d-mae-lite_vit-ti_400e.py']
model = dict(backbone=dict(arch='small-h12'), decoder=dict(embed_dim=192, num_heads=6))
train_dataloader = dict(batch_size=256)
