"""Ablations from one command: rows of a study, pre-trained at a tier's size, evaluated, reported.

What a study holds is data beside the recipes: configs/pretrain/ablation/METHOD.yaml. Evaluation and
report belong to another package, so they run as the commands they are.
"""
