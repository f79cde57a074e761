"""SimMIM ablation, mask unit: squares of 32 px, 0.6 of them hidden. The work's default."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(unit_px=32, ratio=0.6)))
