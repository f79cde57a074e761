"""One-stream tracker (OSTrack without candidate elimination), small ViT, LaSOT layout.

tier: smoke, minutes on a CPU   paper: arXiv 2203.11991, section 4.1, with another size and schedule
What the full protocol has instead: crops 128 / 256 px, patch 16, head 256 channels, 300 epochs of
60 000 pairs, batch 128, drop path 0.1.

python tools/train.py configs/downstream/tracking/one-stream_vit_smoke_lasot.py
"""
_base_ = ['../../_base_/runtime.py']
default_scope = 'downstream'

root = 'data/lasot'
train_list = 'training_set.txt'
test_list = 'testing_set.txt'
seed = 0
template_size = 64
search_size = 128
patch_size = 8
batch_size = 32
iterations = 400
lr = 4e-4

model = dict(
    type='downstream.OneStreamTracker',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=192, depth=6, num_heads=3),
        img_size=search_size, patch_size=patch_size, cls_token=False,
        init_cfg=dict(type='mim_backbones.Pretrained', checkpoint=None)),
    head=dict(channels=64, score_prior=0.01),
    template_size=template_size, search_size=search_size,
    template_factor=2.0, search_factor=4.0,
    loss_weights=dict(focal_weight=1.0, giou_weight=2.0, l1_weight=5.0),
    data_preprocessor=dict(type='downstream.CropPreprocessor'))

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,      # drawing a pair costs less than handing it over
    sampler=dict(type='InfiniteSampler', shuffle=False),    # every index is another random pair
    dataset=dict(
        type='downstream.LasotPairs', root=root, train_list=train_list, test_list=test_list,
        length=iterations * batch_size, seed=seed,
        template_size=template_size, search_size=search_size,
        template_factor=2.0, search_factor=4.0, max_gap=200,
        jitter=dict(scale=0.25, shift=3.0),
        augment=dict(gray=0.05, flip=0.5, branch_flip=0.0, brightness=0.2),
        min_frames=10, min_visible=5, cache_mib=256))
test_dataloader = dict(
    batch_size=16,      # sequences tracked side by side
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(type='downstream.LasotSequences', root=root, list_file=test_list))
test_evaluator = dict(type='downstream.LasotMetric', protocol='ostrack')
test_cfg = dict()

optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper', precision='auto',
    clip_grad=dict(max_norm=0.1),
    optimizer=dict(type='AdamW', lr=lr, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=iterations // 10, end=iterations)]
train_cfg = dict(by_epoch=False, max_iters=iterations)
randomness = dict(seed=seed)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=iterations))
log_processor = dict(by_epoch=False)
