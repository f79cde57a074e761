"""SimMIM ablation, target: pixels, L1. The work's default."""
_base_ = '../../simmim.py'

model = dict(loss='l1')
