"""SimMIM ablation, prediction head: Swin-T backwards, narrow and of three stages.

A ViT's 8 px patches leave two splittings, and the demo's two cores little time.
"""
_base_ = '../../../simmim_demo.py'

model = dict(head=dict(
    type='InverseSwinHead',
    arch=dict(embed_dim=8, depths=(2, 6, 2), num_heads=(1, 1, 2))))
