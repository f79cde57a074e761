"""One-stream tracker on ViT-B (OSTrack-256), GOT-10k alone, 100 epochs of 60 000 pairs.

GOT-10k's own protocol: every training video of it and nothing else   batch 128
paper: arXiv 2203.11991, table 1; numbers as in botaoye/OSTrack
reported AO on GOT-10k's test split: 71.0 (MAE, ImageNet-1K; README of the release), by the server
alone; here LaSOT's test sequences are tracked   reproduced here: not yet
tools/dist_train.sh configs/downstream/tracking/one-stream_vit-b_mae-pre_100e_got10k-256.py 4 \
    --data DATA --cfg-options model.backbone.init_cfg.checkpoint=CKPT
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['one-stream_vit-b_mae-pre_300e_four-sets-256.py']
protocol = dict(name='one-stream-b-256-got10k', framework='')

epoch, epochs = 468, 100
model = dict(elimination=dict(warm=50))
train_dataloader = dict(dataset=dict(
    sets=[dict(name='got10k', ratio=1, root='data/got10k', split='all')],
    length=epochs * epoch * 128))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[epochs * 4 // 5 * epoch], gamma=0.1)]
train_cfg = dict(max_iters=epochs * epoch)
