"""What every registered masker promises, on square and on wide grids."""

import numpy as np
import pytest

from mim_backbones.errors import UserError
from pretrain.images.dataset import Needs, bound_masker
from pretrain.maskers.units import UnitMasker
from pretrain.registry import TRANSFORMS

TRANSFORMS.import_from_location()
REGISTERED = {
    name for name, cls in TRANSFORMS.module_dict.items()
    if issubclass(cls, UnitMasker) and cls.__module__.startswith('pretrain.')
}  # fmt: skip
MASKERS = {
    'RandomPatchMasker': {'unit_px': 16, 'ratio': 0.5},
    'BlockwiseMasker': {'ratio': 0.4, 'min_block': 4},
    'SquareMasker': {'ratio': 0.25},
    'CentralMasker': {'ratio': 0.25},
    'GridMasker': {'every': 2},
}
NEEDS = Needs(64, 8, who='MIMViT')


def test_every_registered_masker_is_tried_here() -> None:
    assert set(MASKERS) == REGISTERED


@pytest.mark.parametrize('name', MASKERS)
def test_masks_are_data_on_the_patch_grid(name: str) -> None:
    masker = bound_masker({'type': name, **MASKERS[name]}, NEEDS)
    one, again = (masker(np.random.default_rng(3)) for _ in range(2))
    assert one.shape == (8, 8) and one.dtype == bool
    assert 0 < one.sum() < 64
    assert np.array_equal(one, again)
    many = masker.batch(5, np.random.default_rng(3))
    assert many.shape == (5, 8, 8) and many.dtype == bool


@pytest.mark.parametrize('name', MASKERS)
def test_sizes_are_the_backbone_s(name: str) -> None:
    for key in ('img_size', 'patch_size'):
        with pytest.raises(UserError, match=f'masker: {key}=48 in the config, but MIMViT has'):
            bound_masker({'type': name, **MASKERS[name], key: 48}, NEEDS)
