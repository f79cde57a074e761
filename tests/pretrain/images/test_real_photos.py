"""SimMIM on 64 real photos: the loss falls over 200 steps, with a ViT and with a Swin."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain.images.dataset import UnlabelledImages
from pretrain.methods.simmim import SimMIM

pytestmark = pytest.mark.slow
PHOTOS, BATCH, STEPS = 64, 16, 200
VIT = {
    'type': 'mim_backbones.MIMViT',
    'arch': {'embed_dim': 96, 'depth': 3, 'num_heads': 3},
    'img_size': 96,
    'patch_size': 16,
    'pos_embed': 'none',
    'rel_pos_bias': 'shared',
    'mask_token': True,
}
SWIN = {
    'type': 'mim_backbones.MIMSwin',
    'arch': {'embed_dim': 24, 'depths': (1, 1, 2, 1), 'num_heads': (1, 2, 4, 8)},
    'img_size': 96,
    'window_size': 6,
    'mask_token': True,
}


@pytest.fixture(scope='module')
def photos(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('photos')
    source = shared / 'data' / 'imagenet_1k_samples'
    files = sorted(p for p in source.rglob('*') if p.suffix.lower() in {'.jpg', '.jpeg', '.png'})
    assert len(files) >= PHOTOS
    for path in files[:: len(files) // PHOTOS][:PHOTOS]:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize('backbone', [VIT, SWIN], ids=['vit', 'swin'])
def test_loss_on_real_photos_falls_steadily(backbone: dict, photos: Path) -> None:
    dataset = UnlabelledImages(str(photos), {'type': 'RandomPatchMasker', 'unit_px': 32})
    model = SimMIM(backbone)
    model.bind(dataset)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    losses = []
    for step in range(STEPS):
        chosen = np.random.default_rng(step).integers(PHOTOS, size=BATCH)
        samples = [dataset[(int(i), (step, place))] for place, i in enumerate(chosen)]
        batch = {key: torch.stack([s[key] for s in samples]) for key in ('image', 'mask')}
        loss = model(**model.data_preprocessor(batch), mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    quarters = np.reshape(losses, (4, -1)).mean(1)
    assert (np.diff(quarters) < 0).all(), quarters
    assert quarters[-1] < 0.95 * quarters[0], quarters
