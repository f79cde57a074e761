"""Img2Vec, ViT-B/16, a ResNet-50 as teacher, 800 epochs, ImageNet-1K, 224 px.

paper: arXiv 2304.12535. Its abstract alone is public in detail, and no code: a masked autoencoder
that predicts the features of a light self-supervised teacher of high token diversity. All else is
inferred from its relatives (MAE, dBOT, Feature Distillation), and a field of this file.
batch 4096   reported fine-tune top-1: 85.1 (by whatever setting)   reproduced here: not yet
Its COCO figure names no framework: compare nothing with it.
tools/dist_train.sh configs/pretrain/img2vec.py 64 --data DATA \
    --cfg-options model.target.teacher.checkpoint=dino_resnet50_pretrain.pth

How 7 x 7 features of a 224 px image come to 14 x 14 tokens is inferred too; other ways than A, the
teacher's view of 448 px, are

    B  model.target.teacher.stage=3 model.target.aligner=same         14 x 14 features of layer3
    C  model.target.aligner=interpolate
    D  model.target.aligner=pool train_dataloader.dataset.masker.unit_px=32
    E  model.target.teacher.dilated=True model.target.aligner=same

Off by default: several decoded blocks (model.decode_from, model.decode_weights), several blocks of
the teacher, a term of the whole image (model.whole_weight=0.1 model.target.whole=mean), a loss on
all tokens (model.selector=all).
"""
_base_ = ['mae.py']

model = dict(
    backbone=dict(drop_path_rate=0.1),
    target=dict(
        _delete_=True, type='FeatureTarget', aligner='input', norm=dict(type='layer', eps=1e-5),
        teacher=dict(type='ResNetTeacher', checkpoint=None)),
    loss='smooth_l1', beta=2.0, selector='masked', whole_weight=0.0)
optim_wrapper = dict(clip_grad=dict(max_norm=3.0))
