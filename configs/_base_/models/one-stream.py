"""OSTrack-256: a plain ViT for the tokens of both crops, candidate elimination, a centre head.

arXiv 2203.11991, section 3; botaoye/OSTrack 33b5e12
"""

model = dict(
    type='downstream.OneStreamTracker',
    backbone=dict(
        type='mim_backbones.MIMViT', arch='base', img_size=256, patch_size=16,
        # Tokens of two crops have no place for CLS, registers or decomposed positions. A fixed
        # table stays: each crop's own part of it is learnt beside it.
        pos_embed='sincos', cls_token=False, num_registers=0, decomposed_rel_pos=False,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    head=dict(channels=256),
    elimination=dict(blocks=(3, 6, 9), keep=0.7, template='centre', start=20, warm=80),
    template_size=128, search_size=256, template_factor=2.0, search_factor=4.0,
    loss_weights=dict(focal_weight=1.0, giou_weight=2.0, l1_weight=5.0),
    published=False,
    data_preprocessor=dict(type='downstream.CropPreprocessor'))
