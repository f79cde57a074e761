"""SimMIM ablation, prediction head: depths of Swin-T backwards, at the demo's width."""
_base_ = '../../../simmim_demo.py'

model = dict(head=dict(
    type='InverseSwinHead',
    arch=dict(embed_dim=8, depths=(2, 2, 6, 2), num_heads=(1, 1, 2, 2))))
