"""SimMIM, SwinV2-B, 800 epochs, ImageNet-1K, 192 px, windows of 12, normalised target.

code: microsoft/Swin-Transformer, the authors' later one; numbers as in the released recipe
batch 2048   reported fine-tune top-1: 85.04 after 500k updates (MODELHUB.md), about 800 epochs
reproduced here: not yet
tools/dist_train.sh configs/pretrain/simmim_swinv2-b_800e.py 16 --data DATA
what differs from the release, and the switch back: docs/deviations.md
"""
_base_ = ['simmim_swin-b_800e.py']

model = dict(
    backbone=dict(version=2, window_size=12, drop_path_rate=0.1),
    target=dict(
        type='NormalisedTarget', window=47,
        # As released: on flat photos a variance of float32 loses what it is divided by.
        precision='float32'))
# The released code decays these, which its authors meant to exempt; [] exempts them.
optim_wrapper = dict(paramwise_cfg=dict(decayed=['cpb_mlp', 'logit_scale']))
