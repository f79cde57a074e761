"""Pairs of a checkpoint and a tokenizer: the measure, the verdict, the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.commands.analyze_tokens import tokens
from pretrain.inspect.tokens import TokenAccuracy, measure_pair, token_accuracy
from pretrain.maskers.random_patch import RandomPatchMasker
from pretrain.methods.beitv2 import BEiTv2
from pretrain.targets.frozen import Frozen
from pretrain.tokenizers.vqkd import VQKDTokenizer
from tests.pretrain.small import absent_ids

CODES = 8
MASKER = dict(type='RandomPatchMasker', unit_px=8, ratio=0.5)
BACKBONE = dict(
    type='mim_backbones.MIMViT', arch=dict(embed_dim=16, depth=2, num_heads=2), img_size=32,
    patch_size=8, pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
    mask_token=True)  # fmt: skip
MODEL = dict(type='BEiTv2', backbone=BACKBONE, target=absent_ids(CODES), early_layers=1,
             head_layers=1)  # fmt: skip


def described(codes: int = CODES, img_size: int = 32) -> dict:
    backbone = dict(type='mim_backbones.MIMViT', arch=dict(embed_dim=16, depth=1, num_heads=2),
                    img_size=img_size, patch_size=8, qkv_bias='qv', final_norm=False,
                    fc_norm=True)  # fmt: skip
    return dict(backbone=backbone, codebook=dict(codes=codes, dim=4))


def tokenizer(seed: int) -> VQKDTokenizer:
    torch.manual_seed(seed)
    return VQKDTokenizer(**described())


def save_tokenizer(seed: int, path: Path, **options) -> Path:
    torch.manual_seed(seed)
    model = described(**options)
    net = VQKDTokenizer(**model)
    net.quantize.started.fill_(True)
    record = dict(method='VQKD', backbone=model['backbone'], model=dict(model, type='VQKD'))
    torch.save({'state_dict': net.state_dict(), 'meta': {'mimbench': record}}, path)
    return path


def save_model(path: Path, digest: torch.Tensor | None = None) -> Path:
    model = BEiTv2(**{k: v for k, v in MODEL.items() if k != 'type'})
    if digest is not None:
        model.target.fingerprint = digest
    record = dict(method='BEiTv2', backbone=BACKBONE, model=MODEL, masker=MASKER, img_size=32,
                  target=model.target.facts())  # fmt: skip
    torch.save({'state_dict': model.state_dict(), 'meta': {'mimbench': record}}, path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40)).save(folder / f'{i}.png')
    return folder


def measured(accuracy: float, same: bool | None, majority: float = 0.05) -> TokenAccuracy:
    return TokenAccuracy({'mim': accuracy}, 0.01, majority, 4000, 50, 90, same)


@pytest.mark.parametrize(('accuracy', 'same', 'belongs'), [
    (0.20, None, True), (0.05, None, False), (0.06, None, False), (0.075, None, True),
    (0.05, True, True), (0.20, False, False),
])  # fmt: skip
def test_verdict(accuracy: float, same: bool | None, belongs: bool) -> None:
    found = measured(accuracy, same)
    assert found.belongs == belongs
    assert found.verdict().startswith('a pair' if belongs else 'no pair')


def test_few_patches_prove_nothing() -> None:
    # 10 % against 5 %: of 40 patches that is 1.5 standard errors.
    assert not TokenAccuracy({'mim': 0.1}, 0.01, 0.05, 40, 1, 20, None).belongs


def test_counts_by_hand(images: Path) -> None:
    model = BEiTv2(**{k: v for k, v in MODEL.items() if k != 'type'}).eval()
    # Constant answers: the accuracy is the share of that id among the hidden patches.
    model.lm_head.weight.data.zero_()
    model.lm_head.bias.data = torch.arange(CODES).float()
    net = tokenizer(1)
    masker = RandomPatchMasker(32, 8, 8, 0.5)
    files = sorted(str(path) for path in images.iterdir())
    found = token_accuracy(model, net, files, masker, 32, seed=5, batch_size=2)
    rng = np.random.default_rng(5)
    from pretrain.images.decode import load_image

    labels = []
    for path in files:
        ids = net.encode(load_image(path, 32, 'bicubic')[None].float() / 255)[0]
        labels.append(ids[torch.from_numpy(masker(rng))])
    counts = torch.cat(labels).bincount(minlength=CODES)
    assert found.patches == 3 * 8 == counts.sum()
    assert found.accuracy['mim'] == found.accuracy['cls'] == counts[-1] / 24
    assert found.majority == pytest.approx(counts.max().item() / 24)
    assert found.used == (counts > 0).sum()
    assert found.chance == 1 / CODES
    assert found.same_tokenizer is None


def test_a_checkpoint_knows_its_tokenizer(images: Path, tmp_path: Path) -> None:
    mine = save_tokenizer(1, tmp_path / 'mine.pth')
    other = save_tokenizer(2, tmp_path / 'other.pth')
    from pretrain.tokenizers.trained import load_tokenizer

    digest = Frozen(load_tokenizer(mine)).fingerprint()
    model = save_model(tmp_path / 'epoch_1.pth', digest)
    assert measure_pair(model, mine, images).same_tokenizer is True
    assert measure_pair(model, other, images).same_tokenizer is False
    assert measure_pair(save_model(tmp_path / 'old.pth'), mine, images).same_tokenizer is None


def test_command(images: Path, tmp_path: Path) -> None:
    files = [
        save_model(tmp_path / 'm.pth'),
        save_tokenizer(1, tmp_path / 't.pth'),
        images,
    ]
    words = [str(path) for path in files]
    shown = CliRunner().invoke(tokens, words)
    assert shown.exit_code == 1  # untrained
    assert 'accuracy cls' in shown.output
    assert 'one of 8 codes' in shown.output
    assert shown.output.strip().splitlines()[-1].startswith('no pair, or hardly trained')
    result = json.loads(CliRunner().invoke(tokens, [*words, '--json', '--count', '2']).output)
    assert result['images'] == 2
    assert result['belongs'] is False
    assert set(result['accuracy']) == {'mim', 'cls'}


def test_mistakes_are_named(images: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / 'm.pth')
    good = save_tokenizer(1, tmp_path / 't.pth')
    more = save_tokenizer(1, tmp_path / 'more.pth', codes=16)
    large = save_tokenizer(1, tmp_path / 'large.pth', img_size=64)
    for arguments, message in [
        ((model, more, images), 'predicts 8 codes, the tokenizer has 16'),
        ((model, large, images), r'8x8 grid of ids at 64 px, the model has 4x4 patches at 32 px'),
        ((model, model, images), 'holds no VQ-KD tokenizer'),
        ((good, good, images), 'predicts no tokens'),
        ((model, tmp_path / 'no.pth', images), r'no\.pth does not exist'),
        ((model, tmp_path / 'no.pkl', images), r'no\.pkl does not exist'),
        ((model, good, tmp_path / 'nowhere'), 'nowhere does not exist'),
        ((model, good, images, 0), '--count 0'),
    ]:
        with pytest.raises(UserError, match=message):
            measure_pair(*arguments)
