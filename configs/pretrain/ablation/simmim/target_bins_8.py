"""SimMIM ablation, target: 8 bins per colour channel."""
_base_ = '../../simmim.py'

model = dict(target=dict(type='ColourBins', bins=8))
