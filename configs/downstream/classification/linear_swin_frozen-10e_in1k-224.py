"""Linear probes of every block of a frozen Swin, ImageNet-1K, 224 px, 10 epochs.

The mean token, without a norm or behind BatchNorm; all else as in linear_vit_frozen-10e_in1k-224.py.
"""
_base_ = ['linear_vit_frozen-10e_in1k-224.py']
protocol = dict(name='linear-swin-in1k', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='base', img_size=224, window_size=7,
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
