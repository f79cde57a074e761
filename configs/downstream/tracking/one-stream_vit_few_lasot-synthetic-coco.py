"""One-stream tracker on a small ViT, a few real sequences beside synthetic ones and COCO's objects.

The tracker of tier `smoke` at a larger size, for somebody with a dozen sequences of their own in
LaSOT's layout: a third of the pairs are theirs, a third of `mimbench synth`, a third objects of
any COCO-like set, each with itself in the same picture. 4000 steps of 16, twenty minutes of one
core. What it reaches on ten sequences: docs/tracking.md. Compares with nothing in a paper.

mimbench synth world --only tracking
python tools/train.py configs/downstream/tracking/one-stream_vit_few_lasot-synthetic-coco.py \
    --data DATA

where DATA is a YAML: `tracking: {root: LASOT, synthetic: world/lasot, coco: COCO}`
"""
_base_ = ['one-stream_vit_smoke_lasot.py']
protocol = dict(name='one-stream-vit-few', version='2', tier='proxy')

template_size = 40
search_size = 80
batch_size = 16
iterations = 4000

model = dict(
    backbone=dict(img_size=search_size),
    template_size=template_size, search_size=search_size)
train_dataloader = dict(dataset=dict(
    sets=[
        dict(name='lasot', ratio=1, root='data/lasot'),
        dict(name='synthetic', ratio=1, root='data/world/lasot'),
        dict(name='coco', ratio=1, root='data/coco'),
    ],
    length=iterations * batch_size,
    template_size=template_size, search_size=search_size))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=iterations // 10, end=iterations)]
train_cfg = dict(max_iters=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
