"""One-stream tracker on a plain ViT of any size, LaSOT alone, 100 epochs of 60 000 pairs.

LaSOT's protocol II: its 1120 training sequences and nothing else. OSTrack-256 without candidate
elimination, for a third of its epochs   batch 128
reported: none   reproduced here: not yet
mimbench eval CKPT --protocol one-stream-vit-lasot --data DATA --out results
"""
_base_ = ['one-stream_vit-b_mae-pre_300e_four-sets-256.py']
protocol = dict(
    name='one-stream-vit-lasot', arch='', framework='',
    by_arch={
        'tiny': {}, 'tiny-h12': {}, 'small': {}, 'base': {},
        'large': {'model.backbone.drop_path_rate': 0.2}})

epoch, epochs = 468, 100
model = dict(elimination=None)
train_dataloader = dict(dataset=dict(
    sets=[dict(name='lasot', ratio=1, root='data/lasot')], length=epochs * epoch * 128))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[epochs * 4 // 5 * epoch], gamma=0.1)]
train_cfg = dict(max_iters=epochs * epoch)
custom_hooks = []
