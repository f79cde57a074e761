"""One-stream tracker on a plain ViT, LaSOT-style data, two and a half minutes on one core.

OSTrack without candidate elimination, made to learn from few videos in few steps: why each
difference is there, and what it is worth, is in docs/tracking.md. Compares with nothing in a paper.
paper: arXiv 2203.11991, section 4.1; there crops of 128 and 256 px cut at 2 and 4 mean sides, patch
16, head of 256 channels without priors, 300 epochs of 60 000 pairs, batch 128, drop path 0.1,
backbone at a tenth of the head's learning rate 4e-4, published=True crops; no compare, no
size_inertia, no redetection, no vary, jitter of 0.25 and 3

python tools/train.py configs/downstream/tracking/one-stream_vit_smoke_lasot.py \
    --cfg-options train_dataloader.dataset.sets.0.root=LASOT test_dataloader.dataset.root=LASOT
"""
_base_ = ['../../_base_/runtime.py']
default_scope = 'downstream'
protocol = dict(
    name='one-stream-vit-smoke', version='3', task='tracking', tier='smoke', family='vit')

root = 'data/lasot'
train_list = 'training_set.txt'
test_list = 'testing_set.txt'
seed = 0
template_size = 32
search_size = 64
template_factor = 1.5
search_factor = 2.5
patch_size = 8
batch_size = 16
iterations = 800
lr = 1e-3

model = dict(
    type='downstream.OneStreamTracker',
    backbone=dict(
        type='mim_backbones.MIMViT', arch=dict(embed_dim=192, depth=6, num_heads=3),
        img_size=search_size, patch_size=patch_size,
        # Tokens of two crops have no place for CLS, registers or decomposed positions.
        pos_embed='sincos', cls_token=False, num_registers=0, decomposed_rel_pos=False,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    head=dict(channels=64, score_prior=0.01, size_prior=1 / search_factor), compare=True,
    template_size=template_size, search_size=search_size,
    template_factor=template_factor, search_factor=search_factor,
    loss_weights=dict(focal_weight=1.0, giou_weight=2.0, l1_weight=5.0),
    size_inertia=0.97, redetection=dict(lost=0.35, found=0.6, every=2),
    data_preprocessor=dict(type='downstream.CropPreprocessor'))

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=0,      # drawing a pair costs less than handing it over
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='InfiniteSampler', shuffle=False),    # every index is another random pair
    dataset=dict(
        type='downstream.TrackingPairs',
        sets=[dict(name='lasot', root=root, train_list=train_list, test_list=test_list)],
        length=iterations * batch_size, seed=seed,
        template_size=template_size, search_size=search_size,
        template_factor=template_factor, search_factor=search_factor, max_gap=200,
        jitter=dict(scale=0.15, shift=1.2),
        augment=dict(gray=0.05, flip=0.5, branch_flip=0.0, brightness=0.2, vary=0.5),
        min_frames=10, min_visible=5, cache_mib=256))
test_dataloader = dict(
    batch_size=16,      # sequences tracked side by side
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='downstream.LasotSequences', root=root, list_file=test_list))
test_evaluator = dict(type='downstream.LasotMetric', protocol='ostrack')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='mim_backbones.AutoPrecisionOptimWrapper', precision='auto',
    clip_grad=dict(max_norm=0.1),
    optimizer=dict(type='AdamW', lr=lr, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.5))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=iterations // 10, end=iterations)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
randomness = dict(seed=seed)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=iterations))
log_processor = dict(by_epoch=False)
