from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mim_backbones.weights_file import CheckpointError
from pretrain.reconstruction import GREY, choose_images, load_method, reconstruct
from pretrain.reconstruction import reconstruction_picture as picture_of
from pretrain.registry import MODELS, build

BACKBONE = {
    'type': 'mim_backbones.MIMViT',
    'arch': {'embed_dim': 32, 'depth': 1, 'num_heads': 2},
    'img_size': 32,
    'patch_size': 8,
    'mask_token': True,
}
MODEL = {
    'type': 'SimMIM',
    'backbone': BACKBONE,
    'target': {'type': 'PixelTarget'},
    'head': {'type': 'PixelShuffleHead'},
}
MASKER = {
    'type': 'RandomPatchMasker',
    'img_size': 32,
    'patch_size': 8,
    'unit_px': 16,
    'ratio': 0.5,
}
RECORD = {
    'method': 'SimMIM',
    'backbone': BACKBONE,
    'model': MODEL,
    'masker': MASKER,
    'img_size': 32,
}


def checkpoint(path: Path, without: str = 'nothing', record: Any = RECORD) -> Path:
    """As pre-training writes it, of a model that nothing has trained."""
    state = build(MODELS, MODEL).state_dict()
    state = {name: value for name, value in state.items() if without not in name}
    torch.save({'state_dict': state, 'meta': {'mimbench': record}}, path)
    return path


def test_only_the_hidden_part_is_restored(tmp_path) -> None:
    model, _ = load_method(checkpoint(tmp_path / 'a.pth'))
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :2] = True  # the upper half
    original, masked, pasted = reconstruct(model, image, mask)[0]
    assert torch.equal(original, image[0])
    assert (masked[:, :16] == GREY).all()
    assert torch.equal(masked[:, 16:], original[:, 16:])
    assert torch.equal(pasted[:, 16:], original[:, 16:])
    assert pasted[:, :16].float().std() > 0


def test_a_picture_has_a_row_per_image(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        array = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(array).save(tmp_path / f'{i}.png')
    path = checkpoint(tmp_path / 'a.pth')
    images = choose_images(tmp_path, 2)
    assert [Path(name).name for name in images] == ['0.png', '2.png']
    small, large = picture_of(path, images), picture_of(path, images, scale=2)
    assert small.size == (3 * 32 + 4 * 6, 2 * 32 + 3 * 6 + 18)
    assert large.width - small.width == 3 * 32
    assert small.tobytes() == picture_of(path, images).tobytes()
    assert small.tobytes() != picture_of(path, images, seed=1).tobytes()


@pytest.mark.parametrize(('damage', 'message'), [
    ({'record': 'SimMIM'}, 'records no pre-training method'),
    ({'record': {'backbone': BACKBONE}}, 'records no pre-training method'),
    ({'without': 'head'}, 'without its head it predicts nothing'),
    ({'record': {**RECORD, 'backbone': {**BACKBONE, 'img_size': 64}}}, 'not what it records.*size'),
])  # fmt: skip
def test_files_that_restore_nothing(tmp_path, damage: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_method(checkpoint(tmp_path / 'a.pth', **damage))
