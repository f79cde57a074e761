"""SimMIM ablation, target resolution: 12 x 12 of 192 px."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='PixelTarget', reduce=16))
