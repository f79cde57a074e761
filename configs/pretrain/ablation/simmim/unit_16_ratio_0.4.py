"""SimMIM ablation, mask unit: squares of 16 px, 0.4 of them hidden."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(unit_px=16, ratio=0.4)))
