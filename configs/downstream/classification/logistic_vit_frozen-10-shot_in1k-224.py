"""Logistic regression on a frozen plain ViT, 10 labels a class, ImageNet-1K, 224 px, by L-BFGS.

    CLS token and mean of the patch tokens, after the final norm where the checkpoint has one
    10 pictures of each class, drawn by seed; pooling and penalty are chosen on 1 % of the others

Compares with no published row. Other labels: as in ridge_vit_frozen-10-shot_in1k-224.py.
"""
_base_ = ['ridge_vit_frozen-10-shot_in1k-224.py']
protocol = dict(name='logistic-vit-10-shot')

model = dict(type='downstream.LogisticReader', penalties=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0))
