"""UperNet on a Hiera, fine-tuned on ADE20K, 512 px, 20k iterations of 16.

The four stages; there are no norms. All else as in upernet_swin_20k_ade20k-512.py.
"""
_base_ = ['upernet_swin_20k_ade20k-512.py']
protocol = dict(
    name='upernet-hiera-20k', family='hiera',
    by_arch={
        '_delete_': True, 'tiny': {}, 'small': {}, 'base': {}, 'base-plus': {},
        'large': {'model.backbone.drop_path_rate': 0.3}})

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=512,
        q_pool=3, out_indices=(0, 1, 2, 3), drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
