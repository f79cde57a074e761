"""Linear probe of a frozen Swin, ADE20K, 512 px, 20k iterations of 16 views.

The last two stages (strides 16 and 32, no norm after them), joined at stride 16. All else as in
linear_vit_frozen-20k_ade20k-512.py.
"""
_base_ = ['linear_vit_frozen-20k_ade20k-512.py']
protocol = dict(name='linear-swin-20k', family='swin')

model = dict(
    backbone=dict(
        _delete_=True, type='mim_backbones.MIMSwin', arch='base', img_size=512,
        out_indices=(2, 3), small_maps='pad', output_norm='none', drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    decode_head=dict(in_channels=[512, 1024]))
