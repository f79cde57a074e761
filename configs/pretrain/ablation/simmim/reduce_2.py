"""SimMIM ablation, target resolution: 96 x 96 of 192 px."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='PixelTarget', reduce=2))
