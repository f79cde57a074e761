"""SimMIM ablation, loss area: hidden pixels. The work's default."""
_base_ = '../../simmim.py'

model = dict(area='masked')
