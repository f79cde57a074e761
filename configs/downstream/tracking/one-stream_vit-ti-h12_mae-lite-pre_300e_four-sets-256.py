"""One-stream tracker on MAE-Lite's ViT-Ti (OSTrack-256), four sets, 300 epochs of 60 000 pairs.

paper: arXiv 2404.12210; numbers as in wangsr126/MAE-Lite, projects/eval_tools/track   batch 128
reported AUC on LaSOT: 65.8 (D-MAE-Lite), 66.1 (D2-MAE-Lite; ImageNet-1K)
reproduced here: not yet
tools/dist_train.sh \
    configs/downstream/tracking/one-stream_vit-ti-h12_mae-lite-pre_300e_four-sets-256.py 4 \
    --data DATA --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['one-stream_vit-b_mae-pre_300e_four-sets-256.py']
protocol = dict(name='one-stream-ti-h12-256', arch='tiny-h12')

model = dict(backbone=dict(arch='tiny-h12'))
