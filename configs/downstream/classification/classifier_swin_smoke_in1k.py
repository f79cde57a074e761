"""Fine-tuning of a Swin on folders of classes, 64 px, minutes on one core: ranks nothing.

All but the backbone as in classifier_vit_smoke_in1k.py.
"""
_base_ = ['classifier_vit_smoke_in1k.py']
protocol = dict(name='classifier-swin-smoke', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin',
        arch=dict(embed_dim=48, depths=(2, 2, 2, 2), num_heads=(3, 6, 12, 24)),
        img_size=64, drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
