"""Ridge regression on a frozen Swin, 10 labels a class, ImageNet-1K, 224 px, in closed form.

The mean token; all else as in ridge_vit_frozen-10-shot_in1k-224.py.
"""
_base_ = ['ridge_vit_frozen-10-shot_in1k-224.py']
protocol = dict(name='ridge-swin-10-shot', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='base', img_size=224, window_size=7,
        drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
