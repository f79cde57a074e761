"""SimMIM ablation, target: the nearest of 512 colours.

At full resolution Swin's head would have 512 x 32 x 32 outputs for a token, so the image is reduced
8x first, as for the 256 bins; the work does not say at which resolution it predicts.

mimbench palette data/imagenet/train --out data/palette_512.json   fits the colours
"""
_base_ = '../../simmim.py'

model = dict(target=dict(type='ColourClusters', palette='data/palette_512.json', reduce=8))
