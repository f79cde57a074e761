"""DINO's nearest pictures on a frozen plain ViT, ImageNet-1K, 224 px, one pass over the pictures.

paper: arXiv 2104.14294, section 4.1 and facebookresearch/dino eval_knn.py
reported top-1: DINO ViT-B/16 76.1, iBOT ViT-B/16 77.1   reproduced here: not yet

The CLS token behind the final norm, the 20 nearest of all training pictures; nothing is chosen.
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['knn_vit_frozen_in1k-224.py']
protocol = dict(name='knn-vit-dino', tier='full', framework='k-NN')

held_out = 0.0
model = dict(neighbours=(20,))    # of CLS token and mean, the first counts
train_dataloader = dict(dataset=dict(held_out=held_out))
val_dataloader = dict(dataset=dict(held_out=held_out))
test_dataloader = val_dataloader
