"""SimMIM ablation, mask strategy: BEiT's rectangles of units, of two units and more."""
_base_ = '../../simmim.py'

train_dataloader = dict(dataset=dict(masker=dict(type='BlockwiseMasker', min_block=2, exact=False)))
