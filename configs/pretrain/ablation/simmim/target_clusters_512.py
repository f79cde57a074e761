"""SimMIM ablation, target: the nearest of 512 colours.

mimbench palette data/imagenet/train --out data/palette_512.json   fits the colours
"""
_base_ = '../../simmim.py'

model = dict(target=dict(type='ColourClusters', palette='data/palette_512.json'))
