"""Nearest pictures on a frozen plain ViT, ImageNet-1K, 224 px, one pass over the pictures.

    CLS token and mean of the patch tokens, after the final norm where the checkpoint has one
    -> unit length -> soft vote of the 10, 20, 100 and 200 nearest, temperature 0.07 (DINO)
    pooling and k are chosen on a tenth of the training pictures, which do not vote

Published numbers of k-NN choose k on the test pictures and let all training pictures vote. Fewer
labels: `train_dataloader.dataset.share=0.01`, or `.per_class=10`.
"""
_base_ = [
    '../../_base_/datasets/imagenet_224px.py',
    '../../_base_/runtime.py',
]
default_scope = 'downstream'
protocol = dict(
    name='knn-vit-in1k', version='1', task='classification', tier='proxy', family='vit')
custom_hooks = [dict(type='downstream.FitReader')]
log_processor = dict(by_epoch=True)

held_out = 0.1
model = dict(
    type='downstream.NearestPictures',
    num_classes=1000, neighbours=(10, 20, 100, 200), temperature=0.07,
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=224, drop_path_rate=0.0,
        init_cfg=dict(type='Pretrained', checkpoint=None)))

train_dataloader = dict(
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        held_out=held_out,
        view=dict(_delete_=True, type='downstream.CentreView', img_size={{_base_.size}})))
val_dataloader = dict(dataset=dict(held_out=held_out))
test_dataloader = val_dataloader

# Nothing is learnt: the loop shows every picture once.
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper', precision='auto',
    optimizer=dict(type='SGD', lr=1e-3))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
