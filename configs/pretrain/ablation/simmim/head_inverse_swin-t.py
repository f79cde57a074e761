"""SimMIM ablation, prediction head: Swin-T run backwards, our reading of an unpublished layout."""
_base_ = '../../simmim.py'

model = dict(head=dict(type='InverseSwinHead', arch='tiny'))
