"""Logs to Weights & Biases beside the files: `_base_ = [..., '../_base_/wandb.py']`, after runtime.py.

What stands here is told to `wandb.init`, and joins the backends of the visualizer when a recipe is
read (mim_backbones/training/config.py). Needs `pip install wandb` and `wandb login`;
WANDB_MODE=offline keeps the run on this machine.
"""
wandb = dict(project='mimbench')
