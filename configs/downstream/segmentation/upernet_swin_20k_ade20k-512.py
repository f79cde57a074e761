"""UperNet on a Swin, fine-tuned on ADE20K, 512 px, 20k iterations of 16.

The four stages, each after a norm of its own. All else as in upernet_vit_20k_ade20k-512.py.
"""
_base_ = ['upernet_vit_20k_ade20k-512.py']
protocol = dict(
    name='upernet-swin-20k', family='swin',
    by_arch={
        '_delete_': True,
        'tiny': {},
        'small': {},
        'base': {'model.backbone.drop_path_rate': 0.3},
        'large': {'model.backbone.drop_path_rate': 0.3}})

widths = [96, 192, 384, 768]
model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='tiny', img_size=512,
        out_indices=(0, 1, 2, 3), drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    neck=None,  # the backbone's own maps have the four strides
    decode_head=dict(in_channels=widths),
    auxiliary_head=dict(in_channels=widths[2]))
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.9))
