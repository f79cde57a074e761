"""SimMIM ablation, target resolution: 48 x 48 of 192 px."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='PixelTarget', reduce=4))
