"""Losses of masked modelling: plain functions on tensors."""

from torch import Tensor


def masked_l1(pred: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Mean |pred - target| over the hidden part of a batch (arXiv 2111.09886, section 3.4).

    Args:
        pred, target: (B, C, H, W).
        hidden: (B, 1, H, W) bool, True = hidden.

    Returns:
        Scalar in float32. The 1e-5 of the released code keeps an empty mask at 0.
    """
    error = (pred.float() - target.float()).abs() * hidden
    return error.sum() / (hidden.sum() + 1e-5) / pred.shape[1]
