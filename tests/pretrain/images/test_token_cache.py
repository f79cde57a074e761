"""Token ids on file: written once, read beside the same crop, refused where they do not fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.commands.tokenize import tokenize
from pretrain.images.dataset import UnlabelledImages
from pretrain.images.decode import load_image
from pretrain.images.token_cache import read_token_cache
from pretrain.methods.beit import BEiT
from pretrain.targets.frozen import Frozen
from pretrain.targets.tokens import CachedTokens
from pretrain.tokenizers.trained import load_tokenizer
from pretrain.tokenizers.vqkd import VQKDTokenizer
from tests.pretrain.small import bound

MASKER = dict(type='RandomPatchMasker', unit_px=8)
VIT = dict(type='mim_backbones.MIMViT', arch=dict(embed_dim=16, depth=1, num_heads=2),
           img_size=32, patch_size=8, qkv_bias='qv')  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(3):
        folder = tmp_path / 'images' / f'class{i % 2}'
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 50)).save(folder / f'{i}.png')
    return tmp_path / 'images'


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    model = dict(backbone={**VIT, 'final_norm': False, 'fc_norm': True},
                 codebook=dict(codes=8, dim=4))  # fmt: skip
    net = VQKDTokenizer(**model)
    net.quantize.started.fill_(True)
    path = tmp_path / 'tokenizer.pth'
    record = dict(method='VQKD', backbone=model['backbone'], model=dict(model, type='VQKD'))
    torch.save({'state_dict': net.state_dict(), 'meta': {'mimbench': record}}, path)
    return path


@pytest.fixture
def cached(images: Path, tokenizer: Path, tmp_path: Path) -> Path:
    words = [str(tokenizer), str(images), '--out', str(tmp_path / 'ids.npz'), '--batch-size', '2']
    result = CliRunner().invoke(tokenize, words)
    assert result.exit_code == 0, result.output
    assert '3 images, 0 of them unreadable, 4x4 ids of 8 codes' in result.output
    return tmp_path / 'ids.npz'


def dataset(images: Path, file: Path) -> UnlabelledImages:
    data = UnlabelledImages(str(images), MASKER, jitter=0.4, interpolation='bicubic')
    return bound(data, known=CachedTokens(str(file)).known)


def test_ids_are_those_of_the_view_beside_them(images, tokenizer, cached) -> None:
    net = load_tokenizer(tokenizer)
    data = dataset(images, cached)
    assert len({tuple(data[(0, (0, 0, k))]['mask'].flatten().tolist()) for k in range(4)}) > 1
    for index, path in enumerate(data.files):
        item = data[(index, (0, 0, 0))]
        assert torch.equal(item['image'], load_image(path, 32, 'bicubic'))  # as it is, unflipped
        assert item['target_ids'].dtype == torch.int64
        assert torch.equal(item['target_ids'], net.encode(item['image'][None].float() / 255)[0])


def test_a_model_trains_on_them_and_remembers_the_tokenizer(images, tokenizer, cached) -> None:
    target = dict(type='CachedTokens', file=str(cached))
    model = BEiT({**VIT, 'mask_token': True}, target)
    wanted = Frozen(load_tokenizer(tokenizer)).fingerprint()
    assert torch.equal(model.target.fingerprint, wanted)
    data = UnlabelledImages(str(images), MASKER, jitter=0.4, interpolation='bicubic')
    model.bind(data)
    item = data[(0, (0, 0, 0))]
    batch = model.data_preprocessor({k: item[k][None] for k in ('image', 'mask', 'target_ids')})
    model(**batch, mode='loss')['loss'].backward()
    with pytest.raises(UserError, match='the data set brings its ids'):
        model.target(item['image'])
    with pytest.raises(ValueError, match=r'ids\.npz gives a 4x4 grid, MIMViT has 2x2 tokens'):
        BEiT({**VIT, 'mask_token': True, 'img_size': 16}, target)


def test_unreadable_images_are_skipped_and_named(images, tokenizer, tmp_path) -> None:
    bad = images / 'class0' / '0.png'
    bad.write_bytes(b'not a picture')
    out = tmp_path / 'ids.npz'
    result = CliRunner().invoke(tokenize, [str(tokenizer), str(images), '--out', str(out)])
    assert '3 images, 1 of them unreadable' in result.output
    item = dataset(images, out)[(0, (0, 0, 0))]
    assert item['skipped'] == str(bad)


def test_mistakes(images, cached, tmp_path) -> None:
    with pytest.raises(UserError, match=r'no\.npz do not exist; `mimbench tokenize'):
        read_token_cache(tmp_path / 'no.npz')
    damaged = tmp_path / 'damaged.npz'
    damaged.write_bytes(cached.read_bytes()[:400])
    with pytest.raises(UserError, match='cannot be read; write them again'):
        read_token_cache(damaged)
    Image.new('RGB', (40, 40)).save(images / 'new.png')
    with pytest.raises(UserError, match=r'lack 1 of 4 images, new\.png first'):
        dataset(images, cached)


def test_the_command_says_in_json_what_it_wrote(images, tokenizer, tmp_path) -> None:
    out = tmp_path / 'ids.npz'
    words = [str(tokenizer), str(images), '--out', str(out), '--json']
    result = CliRunner().invoke(tokenize, words, catch_exceptions=False)
    record = json.loads(result.stdout[result.stdout.index('{') :])
    assert (record['images'], record['unreadable']) == (3, 0)
    assert (record['grid'], record['codes'], record['written']) == ([4, 4], 8, str(out))
    assert record['tokenizer'] == read_token_cache(out).digest.tobytes().hex()


def test_a_view_the_tokenizer_cannot_take_is_one_line(images, tokenizer, tmp_path) -> None:
    words = [str(tokenizer), str(images), '--out', str(tmp_path / 'a.npz'), '--token-size', '63']
    with pytest.raises(UserError, match=r'the tokenizer cannot take .*63') as caught:
        CliRunner().invoke(tokenize, words, catch_exceptions=False)
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'a.npz').exists()
