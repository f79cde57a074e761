"""SimMIM ablation, target resolution: 192 x 192 of 192 px. The work's default."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='PixelTarget', reduce=1))
