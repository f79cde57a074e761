"""MaskFeat at the size of the demo: a small ViT on a few thousand 128 px images, minutes on two cores.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/maskfeat_demo.py --data DATA
"""
_base_ = ['simmim_demo.py']

model = dict(
    target=dict(_delete_=True, type='HOGTarget', cell=4),    # 2 x 2 cells a patch, as published
    loss='l2')
train_dataloader = dict(
    dataset=dict(
        masker=dict(_delete_=True, type='BlockwiseMasker', ratio=0.4, min_block=4)))
