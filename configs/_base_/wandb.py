"""Logs to Weights & Biases beside the files: `_base_ = [..., '../_base_/wandb.py']`, after runtime.py.

Needs `pip install wandb` and `wandb login`; WANDB_MODE=offline keeps the run on this machine.
"""
visualizer = dict(
    vis_backends=[
        dict(type='LocalVisBackend'),
        dict(type='TensorboardVisBackend'),
        dict(type='WandbVisBackend', init_kwargs=dict(project='mimbench'))])
