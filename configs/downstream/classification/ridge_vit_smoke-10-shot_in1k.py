"""Ridge regression on a frozen plain ViT, 10 labels a class, 64 px, a minute on one core: ranks nothing.

Pooling and penalty are chosen on a tenth of the training pictures; all else as in
ridge_vit_frozen-10-shot_in1k-224.py.
mimbench eval CKPT --protocol ridge-vit-smoke --data DATA --out OUT
"""
_base_ = ['knn_vit_smoke_in1k.py']
protocol = dict(name='ridge-vit-smoke')

model = dict(
    _delete_=True,
    type='downstream.RidgeReader',
    num_classes=1000, penalties=(1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0),
    backbone=dict(
        type='mim_backbones.MIMViT', arch='tiny', img_size=64,
        patch_size=8, drop_path_rate=0.0, init_cfg=dict(type='Pretrained', checkpoint=None)))
train_dataloader = dict(dataset=dict(per_class=10))
