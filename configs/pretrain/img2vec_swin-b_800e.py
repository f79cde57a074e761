"""Img2Vec's target in SimMIM: Swin-B, a ResNet-50 as teacher, 800 epochs, ImageNet-1K, 192 px.

Both have a stride of 32: 6 x 6 features for 6 x 6 tokens and mask units, nothing is aligned.
model.backbone.img_size=224 model.backbone.window_size=7 makes it 7 x 7. Target and loss as in
img2vec.py, the training as SimMIM's; no paper has this recipe.
batch 2048   reported: nothing   reproduced here: not yet
tools/dist_train.sh configs/pretrain/img2vec_swin-b_800e.py 16 --data DATA \
    --cfg-options model.target.teacher.checkpoint=dino_resnet50_pretrain.pth
"""
_base_ = ['simmim.py']

model = dict(
    target=dict(
        _delete_=True, type='FeatureTarget', norm=dict(type='layer', eps=1e-5),
        teacher=dict(type='ResNetTeacher', checkpoint=None)),
    loss='smooth_l1', beta=2.0)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4 * 2048 / 512), paramwise_cfg=dict(decayed=[]))
param_scheduler = [
    dict(type='mim_backbones.WarmupCosineLR', warmup=10, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=800)
