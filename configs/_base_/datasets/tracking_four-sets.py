"""LaSOT, GOT-10k, COCO and TrackingNet, one as often as another; LaSOT's test sequences.

Crops, jitter and augmentation of OSTrack-256 (botaoye/OSTrack 33b5e12, lib/train/base_functions.py).
"""

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='downstream.EveryPair'),
    dataset=dict(
        type='downstream.TrackingPairs',
        sets=[
            dict(name='lasot', ratio=1, root='data/lasot'),
            dict(name='got10k', ratio=1, root='data/got10k', split='vot-published'),
            dict(name='coco', ratio=1, root='data/coco'),
            dict(name='trackingnet', ratio=1, root='data/trackingnet'),
        ],
        length=300 * 468 * 128, seed=0,     # epochs, steps of an epoch, batch
        template_size=128, search_size=256, template_factor=2.0, search_factor=4.0,
        max_gap=200,
        jitter=dict(scale=0.25, shift=3.0),
        augment=dict(gray=0.05, flip=0.5, branch_flip=0.5, brightness=0.2),
        min_frames=20, min_visible=5,
        cache_mib=0,        # of ten million frames none is met again soon
        published=False))
test_dataloader = dict(
    batch_size=16,          # sequences tracked side by side
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='downstream.LasotSequences', root='data/lasot', list_file='testing_set.txt'))
test_evaluator = dict(type='downstream.LasotMetric', protocol='ostrack')
test_cfg = dict(type='TestLoop')
