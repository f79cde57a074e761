"""SimMIM ablation, mask ratio: 0.6 of the 32 px units hidden. The work's default."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(ratio=0.6)))
