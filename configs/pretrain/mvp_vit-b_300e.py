"""MVP, ViT-B/16, CLIP ViT-B/16 as teacher, 300 epochs, ImageNet-1K, 224 px.

paper: arXiv 2203.05175, without a release: CLIP's projected features and a cosine in BEiT's place
of tokens; what the paper does not say of the training follows BEiT, unverified.
batch 2048   reported ADE20K mIoU: 52.4   reproduced here: not yet
tools/dist_train.sh configs/pretrain/mvp_vit-b_300e.py 16 --data DATA \
    --cfg-options model.target.teacher.checkpoint=clip_vit-b16.pth
"""
_base_ = ['maskdistill_vit-b_300e.py']

model = dict(
    target=dict(norm='none', teacher=dict(project=True)),
    loss='cosine', shift=0.0, scale=1.0)
