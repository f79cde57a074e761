"""Normalisation, soft targets and mixed batches."""

import numpy as np
import pytest
import torch

from downstream.classification.mixing import MixedBatch, soft_cross_entropy
from mim_backbones.errors import UserError


def batch(size: int) -> dict:
    inputs = torch.randint(0, 256, (size, 3, 8, 8), dtype=torch.uint8)
    return {'inputs': inputs, 'label': torch.arange(size) % 4}


def test_test_pictures_are_normalised_and_no_more() -> None:
    data = {'inputs': torch.full((1, 3, 2, 2), 51, dtype=torch.uint8), 'label': torch.tensor([1])}
    mixed = MixedBatch(4, erase=1.0, mixup=0.8, cutmix=1.0, smoothing=0.1)
    found = mixed(data)
    by_hand = [(0.2 - mean) / std for mean, std in
               ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]  # fmt: skip
    torch.testing.assert_close(found['inputs'][0, :, 0, 0], torch.tensor(by_hand))
    assert 'target' not in found


def test_smoothing_by_hand() -> None:
    target = MixedBatch(4, smoothing=0.1)(batch(3), training=True)['target']
    expected = torch.full((3, 4), 0.025) + 0.9 * torch.eye(4)[:3]
    torch.testing.assert_close(target, expected)


def test_mixup_is_of_the_batch_and_its_reverse() -> None:
    data = batch(6)
    plain = MixedBatch(4)(data, training=True)['inputs']
    np.random.seed(3)  # noqa: NPY002
    share = np.random.beta(0.8, 0.8) if np.random.rand() < 1 else 0  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    found = MixedBatch(4, mixup=0.8)(data, training=True)
    torch.testing.assert_close(found['inputs'], share * plain + (1 - share) * plain.flip(0))
    onehot = torch.eye(4)[data['label']]
    torch.testing.assert_close(found['target'], share * onehot + (1 - share) * onehot.flip(0))


def test_cutmix_targets_are_shares_of_the_area() -> None:
    data = batch(2)
    data['inputs'][0], data['inputs'][1] = 0, 255
    dark, bright = MixedBatch(4)(data)['inputs'][:, 0, 0, 0]
    seen = set()
    for seed in range(8):
        np.random.seed(seed)  # noqa: NPY002
        found = MixedBatch(4, cutmix=1.0)(data, training=True)
        share = (found['inputs'][0, 0] == bright).float().mean()
        torch.testing.assert_close(found['target'][0], torch.tensor([1 - share, share, 0.0, 0.0]))
        seen.add(round(float(share), 4))
    assert len(seen) > 3 and float(dark) != float(bright)


def test_every_picture_may_be_erased() -> None:
    erased = MixedBatch(4, erase=1.0)(batch(8), training=True)['inputs']
    torch.manual_seed(0)
    untouched = MixedBatch(4)(batch(8), training=True)['inputs']
    assert all((a != b).any() for a, b in zip(erased, untouched))


def test_an_odd_batch_cannot_be_mixed() -> None:
    with pytest.raises(UserError, match='a batch of 3 pictures cannot be mixed in pairs'):
        MixedBatch(4, mixup=0.8)(batch(3), training=True)


def test_soft_cross_entropy_is_torchs() -> None:
    logits, target = torch.randn(5, 4), torch.randn(5, 4).softmax(1)
    expected = torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(soft_cross_entropy(logits, target), expected)
