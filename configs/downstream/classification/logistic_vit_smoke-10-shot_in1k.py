"""Logistic regression on a frozen plain ViT, 10 labels a class, 64 px, a minute on one core: ranks nothing.

Pooling and penalty are chosen on a tenth of the training pictures; all else as in
logistic_vit_frozen-10-shot_in1k-224.py.
mimbench eval CKPT --protocol logistic-vit-smoke --data DATA --out OUT
"""
_base_ = ['ridge_vit_smoke-10-shot_in1k.py']
protocol = dict(name='logistic-vit-smoke')

model = dict(type='downstream.LogisticReader', penalties=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0))
