"""SimMIM ablation, target resolution: 24 x 24 of 192 px."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='PixelTarget', reduce=8))
