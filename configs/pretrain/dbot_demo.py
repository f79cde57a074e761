"""dBOT at the size of the demo: two stages of a small ViT, minutes on two cores.

Not a published recipe: it shows the whole path, its numbers compare with nothing in a paper.
tools/train.py configs/pretrain/dbot_demo.py --data DATA
"""
_base_ = ['mae-lite_demo.py']

model = dict(
    type='DBOT', target=dict(_delete_=True, type='BootstrapTarget', stages=[5, 5]))
optim_wrapper = dict(clip_grad=dict(max_norm=3.0))
param_scheduler = [
    dict(
        type='mim_backbones.WarmupCosineLR', warmup=1, begin=begin, end=begin + 5,
        convert_to_iter_based=True)
    for begin in (0, 5)]
