"""Linear probes of every block of a frozen Hiera, ImageNet-1K, 224 px, 10 epochs.

The mean token, without a norm or behind BatchNorm; all else as in linear_vit_frozen-10e_in1k-224.py.
"""
_base_ = ['linear_vit_frozen-10e_in1k-224.py']
protocol = dict(name='linear-hiera-in1k', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=224, q_pool=3,
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
