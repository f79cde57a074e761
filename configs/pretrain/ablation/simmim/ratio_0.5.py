"""SimMIM ablation, mask ratio: 0.5 of the 32 px units hidden."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(ratio=0.5)))
