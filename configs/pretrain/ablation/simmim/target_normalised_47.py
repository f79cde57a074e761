"""SimMIM ablation, target: pixels normalised by their 47 x 47 px surroundings.

Not in the work, in its authors' later code.
"""
_base_ = '../../simmim.py'

model = dict(target=dict(type='NormalisedTarget', window=47))
