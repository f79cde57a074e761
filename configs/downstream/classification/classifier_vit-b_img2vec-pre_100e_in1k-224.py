"""Fine-tuning of Img2Vec's ViT-B, ImageNet-1K, 224 px, 100 epochs: by MAE's recipe.

paper: arXiv 2304.12535, which this repeats as far as its abstract says   batch 1024
reported top-1: 85.1 (resolution and epochs not stated)   reproduced here: not yet
tools/dist_train.sh configs/downstream/classification/classifier_vit-b_img2vec-pre_100e_in1k-224.py 8 \
    --cfg-options model.backbone.init_cfg.checkpoint=CKPT

Inferred: no recipe of Img2Vec is published. Its family fine-tunes by MAE's; a sweep of the rate
(optim_wrapper.optimizer.lr=1.2e-3, 2e-3 and 4e-3) is what its relatives choose among.
what differs from MAE's release, and the switch back: docs/deviations.md
"""
_base_ = ['classifier_vit-b_mae-pre_100e_in1k-224.py']
protocol = dict(name='classifier-vit-b-img2vec', framework='')
