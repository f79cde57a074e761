"""SimMIM ablation, prediction head: Swin-B run backwards, our reading of an unpublished layout."""
_base_ = '../../simmim.py'

model = dict(head=dict(type='InverseSwinHead', arch='base'))
