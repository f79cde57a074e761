"""SimMIM ablation, target resolution: 6 x 6 of 192 px."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='PixelTarget', reduce=32))
