"""OSTrack's 300 epochs of 60 000 pairs in batches of 128: AdamW, one step down after 240."""

# The release leaves out what does not fill a batch: 15 000 pairs of each of 4 processes by 32.
epoch = 468
epochs = 300
iterations = epochs * epoch

# 128 pairs a step, on any number of processes that divides them.
auto_scale_lr = dict(enable=False, base_batch_size=128)
optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper',
    precision='auto',
    clip_grad=dict(max_norm=0.1),
    # Everything is decayed: norms, biases and positions too.
    optimizer=dict(type='AdamW', lr=4e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(
        backbone=dict(lr_mult=0.1),
        template_pos=dict(lr_mult=0.1), search_pos=dict(lr_mult=0.1))))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[epochs * 4 // 5 * epoch], gamma=0.1)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
