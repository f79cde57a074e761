"""SimMIM ablation, loss area: all pixels."""
_base_ = '../../simmim.py'

model = dict(area='all')
