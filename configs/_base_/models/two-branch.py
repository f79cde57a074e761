"""A Swin that sees each crop alone, and a centre head that reads where they correlate.

Crops and head of OSTrack-256.
"""

model = dict(
    type='downstream.TwoBranchTracker',
    backbone=dict(
        type='mim_backbones.MIMSwin', arch='tiny', img_size=256, patch_size=4,
        out_indices=(2,), small_maps='pad', output_norm='each', drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None)),
    head=dict(channels=256),
    template_size=128, search_size=256, template_factor=2.0, search_factor=4.0,
    loss_weights=dict(focal_weight=1.0, giou_weight=2.0, l1_weight=5.0),
    data_preprocessor=dict(type='downstream.CropPreprocessor'))
# The stage behind the map is there and unread.
find_unused_parameters = True
