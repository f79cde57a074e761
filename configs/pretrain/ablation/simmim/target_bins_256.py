"""SimMIM ablation, target: 256 bins per colour channel, of the means of 8 x 8 px.

The reduction is ours: at full resolution each token would need 786,432 outputs.
"""
_base_ = '../../simmim.py'

model = dict(target=dict(type='ColourBins', bins=256, reduce=8))
