"""Ridge regression on a frozen plain ViT, 10 labels a class, ImageNet-1K, 224 px, in closed form.

    CLS token and mean of the patch tokens, after the final norm where the checkpoint has one
    10 pictures of each class, drawn by seed; pooling and penalty are chosen on 1 % of the others

Compares with no published row. Other labels: `train_dataloader.dataset.per_class=5`, or shares of
every class, `train_dataloader.dataset.per_class=None train_dataloader.dataset.share=0.1`.
"""
_base_ = ['knn_vit_frozen_in1k-224.py']
protocol = dict(name='ridge-vit-10-shot')

held_out = 0.01
model = dict(
    _delete_=True,
    type='downstream.RidgeReader',
    num_classes=1000, penalties=(1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0),
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))
train_dataloader = dict(dataset=dict(held_out=held_out, per_class=10))
val_dataloader = dict(dataset=dict(held_out=held_out))
test_dataloader = val_dataloader
