"""SimMIM ablation, mask strategy: the central square. Not in the work: its square moves."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(type='CentralMasker', unit_px=None)))
