"""`mimbench analyze codebook`: counts, grouped patches, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mim_backbones.errors import UserError
from pretrain.commands.analyze_codebook import codebook
from pretrain.inspect.codebook import spread, survey
from pretrain.tokenizers.vqkd import VQKDTokenizer

VIT = dict(
    type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=1, num_heads=2), img_size=32,
    patch_size=8, qkv_bias='qv', final_norm=False, fc_norm=True,
)  # fmt: skip


class Brightness(torch.nn.Module):
    """Three codes: a 16 px cell is dark, medium or bright; the fourth is dead."""

    codes, input_size = 4, 32

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        cells = torch.nn.functional.avg_pool2d(image.mean(1), 16)
        return (cells * 3).long().clamp(max=2)


@pytest.fixture
def images(tmp_path):
    """Upper half dark, lower half bright, twice; once the other way round on the left."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(3):
        pixels = np.full((32, 32, 3), 10, dtype=np.uint8)
        pixels[16:] = 240
        if i == 2:
            pixels[:16, :16] = 128
        Image.fromarray(pixels).save(folder / f'{i}.png')
    return folder


def test_codes_are_counted_and_their_patches_shown(images) -> None:
    found = survey(Brightness(), images, 10)
    assert found.images == 3
    assert [(code.id, code.count) for code in found.codes] == [(2, 6), (0, 5), (1, 1)]
    assert found.health.dead == 1 and found.health.tokens == 12
    bright, dark, medium = found.patches
    assert (bright == 240).all() and (dark == 10).all() and (medium == 128).all()
    assert bright.shape == (6, 3, 16, 16)
    picture = np.asarray(found.picture())
    assert (picture[10, 120] == 240).all() and (picture[60, 120] == 10).all()


def test_patches_come_from_many_images() -> None:
    has = np.array([[1, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=bool)
    cells = np.arange(9).reshape(3, 3)
    assert spread(has, cells, 4).tolist() == [0, 5, 6, 1]


@pytest.fixture
def tokenizer(tmp_path):
    """A started tokenizer as the Runner saves one."""
    model = VQKDTokenizer(VIT, dict(codes=16, dim=4))
    model.train().quantize(model.features(torch.rand(8, 3, 32, 32)))
    record = {
        'backbone': VIT,
        'model': dict(type='VQKD', backbone=VIT, codebook=dict(codes=16, dim=4)),
    }
    content = {'state_dict': model.state_dict(), 'meta': {'mimbench': record}}
    torch.save(content, tmp_path / 'vqkd.pth')
    return str(tmp_path / 'vqkd.pth')


def test_the_command(images, tokenizer, tmp_path) -> None:
    out = tmp_path / 'codes.png'
    arguments = [tokenizer, str(images), '--codes', '3', '--out', str(out)]
    result = CliRunner().invoke(codebook, [*arguments, '--json'], catch_exceptions=False)
    found = json.loads(result.output)
    assert found['codes'] == 16 and found['tokens'] == 48 and found['images'] == 3
    assert len(found['most_frequent']) <= 3
    assert sum(found['histogram'].values()) == 16
    assert Image.open(out).width > 150
    text = CliRunner().invoke(codebook, arguments, catch_exceptions=False).output
    assert 'of 16 codes used' in text
    assert '48 tokens for 16 codes: too few' in text


def test_mistakes(images, tokenizer, tmp_path) -> None:
    (tmp_path / 'other.pth').write_bytes(b'')
    for arguments, message in [
        ([str(tmp_path / 'other.pth'), str(images)], 'is empty'),
        ([tokenizer, str(tmp_path / 'nowhere')], 'does not exist; give an image or a folder'),
        ([tokenizer, str(images), '--size', '30'], 'cannot take images of 30x30 px'),
    ]:
        out = tmp_path / 'codes.png'
        with pytest.raises(UserError, match=message) as error:
            CliRunner().invoke(codebook, [*arguments, '--out', str(out)], catch_exceptions=False)
        assert '\n' not in str(error.value)
        assert not out.exists()


def test_heads_that_no_shape_shows_may_be_given(images, tokenizer, tmp_path) -> None:
    """A file without a record, in the published names."""
    names = {'backbone.': 'encoder.', 'quantize.codebook': 'quantize.embedding.weight'}
    state = torch.load(tokenizer, weights_only=False)['state_dict']
    for ours, theirs in names.items():
        state = {key.replace(ours, theirs): value for key, value in state.items()}
    torch.save({'model': state}, tmp_path / 'bare.pth')
    words = [str(tmp_path / 'bare.pth'), str(images), '--json']
    with pytest.raises(UserError, match='num_heads'):
        CliRunner().invoke(codebook, words, catch_exceptions=False)
    found = CliRunner().invoke(codebook, [*words, '--backbone', 'num_heads=2'])
    expected = CliRunner().invoke(codebook, [tokenizer, *words[1:]])
    assert found.exit_code == 0 and json.loads(found.output) == json.loads(expected.output)
