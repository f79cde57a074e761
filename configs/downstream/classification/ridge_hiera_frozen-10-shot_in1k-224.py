"""Ridge regression on a frozen Hiera, 10 labels a class, ImageNet-1K, 224 px, in closed form.

The mean token; all else as in ridge_vit_frozen-10-shot_in1k-224.py.
"""
_base_ = ['ridge_vit_frozen-10-shot_in1k-224.py']
protocol = dict(name='ridge-hiera-10-shot', family='hiera')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMHiera', arch='base', img_size=224, q_pool=3,
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
