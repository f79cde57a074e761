"""SimMIM ablation, mask strategy: one square at a random place, to the patch."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(type='SquareMasker', unit_px=None)))
