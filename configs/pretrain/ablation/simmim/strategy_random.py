"""SimMIM ablation, mask strategy: units at random. The work's default."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(type='RandomPatchMasker')))
