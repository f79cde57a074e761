"""UperNet on a Swin's four maps, ADE20K-style data, minutes on one core: ranks nothing.

All but backbone and pyramid as in upernet_vit_smoke_ade.py.
"""
_base_ = ['upernet_vit_smoke_ade.py']
protocol = dict(name='upernet-swin-smoke', family='swin')

widths = [48, 96, 192, 384]
model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin',
        arch=dict(embed_dim=48, depths=(2, 2, 2, 2), num_heads=(3, 6, 12, 24)),
        img_size=128, out_indices=(0, 1, 2, 3), drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=None,  # the backbone's own maps have the four strides
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
