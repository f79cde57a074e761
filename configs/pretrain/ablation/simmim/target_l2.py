"""SimMIM ablation, target: pixels, L2."""
_base_ = '../../simmim.py'

model = dict(loss='l2')
