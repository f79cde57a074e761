"""SimMIM ablation, prediction head: one linear layer. The work's default."""
_base_ = '../../simmim.py'

model = dict(head=dict(type='PixelShuffleHead'))
