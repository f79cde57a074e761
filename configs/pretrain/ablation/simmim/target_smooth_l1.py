"""SimMIM ablation, target: pixels, smooth L1."""
_base_ = '../../simmim.py'

model = dict(loss='smooth_l1')
