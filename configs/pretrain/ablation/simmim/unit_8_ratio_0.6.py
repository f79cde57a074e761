"""SimMIM ablation, mask unit: squares of 8 px, 0.6 of them hidden."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(unit_px=8, ratio=0.6)))
