"""SimMIM ablation, prediction head: two layers."""
_base_ = '../../simmim.py'

model = dict(head=dict(type='MLPHead'))
