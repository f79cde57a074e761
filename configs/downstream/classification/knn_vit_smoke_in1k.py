"""Nearest pictures on a frozen plain ViT, 64 px, a minute on one core: ranks nothing.

All else as in knn_vit_frozen_in1k-224.py.
mimbench eval CKPT --protocol knn-vit-smoke --data DATA --out OUT
"""
_base_ = ['knn_vit_frozen_in1k-224.py']
protocol = dict(name='knn-vit-smoke', tier='smoke', by_name=True)

size = 64
model = dict(
    backbone=dict(
        arch='tiny', img_size=size, patch_size=8))
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(**loader, dataset=dict(view=dict(img_size=size)))
val_dataloader = dict(**loader, dataset=dict(view=dict(img_size=size)))
test_dataloader = val_dataloader
