"""Two-branch tracker on a Swin of any size, LaSOT alone, 100 epochs of 60 000 pairs.

No published tracker: crops, head, losses and rates are OSTrack-256's   batch 128
reported: none   reproduced here: not yet
mimbench eval CKPT --protocol two-branch-swin-lasot --data DATA --out results    (Swin-T to L)
"""
_base_ = ['two-branch_swin_300e_four-sets-256.py']
protocol = dict(name='two-branch-swin-lasot')

epoch, epochs = 468, 100
train_dataloader = dict(dataset=dict(
    sets=[dict(name='lasot', ratio=1, root='data/lasot')], length=epochs * epoch * 128))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[epochs * 4 // 5 * epoch], gamma=0.1)]
train_cfg = dict(max_iters=epochs * epoch)
