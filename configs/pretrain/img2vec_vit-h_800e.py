"""Img2Vec, ViT-H/14, a ResNet-50 as teacher, 800 epochs, ImageNet-1K, 224 px.

What is known and what inferred: img2vec.py. The teacher sees 512 px, for 16 x 16 features.
batch 4096   reported fine-tune top-1: 87.5 (by whatever setting)   reproduced here: not yet
tools/dist_train.sh configs/pretrain/img2vec_vit-h_800e.py 64 --data DATA \
    --cfg-options model.target.teacher.checkpoint=dino_resnet50_pretrain.pth
"""
_base_ = ['img2vec.py']
model = dict(backbone=dict(arch='huge', patch_size=14))
