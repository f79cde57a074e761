import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from mmengine.config import Config
from PIL import Image

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.errors import UserError
from pretrain.commands.reconstruct import reconstruct as command
from pretrain.images.decode import choose_images
from pretrain.images.preprocessor import to_unit
from pretrain.inspect.pictures import GREY
from pretrain.inspect.reconstruction import load_drawable, reconstruct
from pretrain.methods.load import load_method
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
    model = load_method(checkpoint(tmp_path / 'a.pth')).model
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[:, :2] = True  # the upper half
    original, masked, pasted = reconstruct(model, image, mask)[0]
    assert torch.equal(original, image[0])
    assert (masked[:, :16] == GREY).all()
    assert torch.equal(masked[:, 16:], original[:, 16:])
    assert torch.equal(pasted[:, 16:], original[:, 16:])
    assert pasted[:, :16].float().std() > 0


@pytest.fixture
def photos(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / 'photos'
    folder.mkdir()
    for i in range(3):
        array = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(array).save(folder / f'{i}.png')
    return folder


def draw(path: Path, images: Path, *options: str) -> tuple[Image.Image, Result]:
    out = path.with_suffix('.png')
    result = CliRunner().invoke(command, [str(path), str(images), '--out', str(out), *options])
    assert result.exception is None, result.exception
    return Image.open(out), result


def test_a_picture_has_a_row_per_image(tmp_path, photos) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    assert [Path(name).name for name in choose_images(photos, 2)] == ['0.png', '2.png']
    two = '--count', '2'
    small, _ = draw(path, photos, *two, '--scale', '1')
    small.load()
    large, _ = draw(path, photos, *two)  # enlarged until the captions fit
    large.load()
    assert small.size == (3 * 32 + 4 * 6, 2 * 32 + 3 * 6 + 18)
    assert large.width - small.width == 3 * (128 - 32)
    assert large.tobytes() == draw(path, photos, *two)[0].tobytes()
    assert large.tobytes() != draw(path, photos, *two, '--seed', '1')[0].tobytes()


def test_without_its_head_it_warns_and_draws_no_predictions(tmp_path, photos) -> None:
    path = checkpoint(tmp_path / 'a.pth', without='head')
    picture, result = draw(path, photos, '--count', '1')
    assert 'warning: checkpoint' in result.output and 'lacks head.project.weight' in result.output
    assert picture.size == (2 * 128 + 3 * 6, 128 + 2 * 6 + 18)


@pytest.mark.parametrize('name', ['official', 'head', 'backbone'])
def test_other_files_are_drawn_with_their_recipe(tmp_path, name: str) -> None:
    model = build(MODELS, MODEL)
    prefix = {'official': 'encoder.', 'head': 'backbone.', 'backbone': ''}[name]
    state = {f'{prefix}{key}': value for key, value in model.backbone.state_dict().items()}
    if name != 'backbone':
        head = 'decoder.0' if name == 'official' else 'head.project'
        state |= {f'{head}.{key}': value for key, value in model.head.project.state_dict().items()}
    torch.save({'model': state}, tmp_path / 'a.pth')
    dataset = {'type': 'UnlabelledImages', 'masker': MASKER}
    config = Config({'model': MODEL, 'train_dataloader': {'dataset': dataset}})
    loaded = load_method(tmp_path / 'a.pth', config)
    assert loaded.missing == (
        [] if name != 'backbone' else ['head.project.weight', 'head.project.bias']
    )
    assert torch.equal(loaded.model.backbone.patch_embed.proj.weight,
                       model.backbone.patch_embed.proj.weight)  # fmt: skip
    if name != 'backbone':
        assert torch.equal(loaded.model.head.project.weight, model.head.project.weight)


RECIPE = {'model': MODEL, 'train_dataloader': {'dataset': {'masker': MASKER}}}


@pytest.mark.parametrize(('change', 'message'), [
    ({'model': None}, 'is no pre-training recipe: it has no model.type'),
    ({'model': {**MODEL, 'backbone': None}}, 'is no pre-training recipe: it has no model.backbone'),
    ({'train_dataloader': None}, 'it has no train_dataloader.dataset'),
    ({'model': {**MODEL, 'backbone': {**BACKBONE, 'patch_size': 5}}}, 'is not a multiple of 5'),
    ({'train_dataloader': {'dataset': {'masker': {**MASKER, 'ratio': 2}}}},
     'ratio 2 is not between 0 and 1'),
])  # fmt: skip
def test_a_recipe_of_nothing_that_can_be_drawn(tmp_path, photos, change, message: str) -> None:
    Config({'default_scope': 'pretrain', **RECIPE, **change}).dump(tmp_path / 'r.py')
    path = checkpoint(tmp_path / 'a.pth')
    words = [str(path), str(photos), '--out', str(tmp_path / 'o.png')]
    result = CliRunner().invoke(command, [*words, '--config', str(tmp_path / 'r.py')])
    assert isinstance(result.exception, UserError), result.exception
    assert message in str(result.exception)
    assert '\n' not in str(result.exception)


TARGETS = {
    'pixels': {'type': 'PixelTarget', 'reduce': 4},
    'normalised': {'type': 'NormalisedTarget', 'window': 7},
    'bins': {'type': 'ColourBins', 'bins': 8, 'reduce': 4},
    'clusters': {'type': 'ColourClusters', 'palette': 4, 'reduce': 2},
}


@pytest.mark.parametrize('kind', TARGETS)
def test_a_perfect_prediction_looks_like_the_original(kind: str, monkeypatch) -> None:
    model = build(MODELS, {**MODEL, 'target': TARGETS[kind]}).eval()
    # Flat squares of 8 px in pure colours, which bins, clusters and averages keep.
    colours = torch.tensor([[0, 0, 0], [255, 0, 0], [0, 255, 0], [255, 255, 255]])
    squares = colours[torch.randint(0, 4, (2, 4, 4))].permute(0, 3, 1, 2).to(torch.uint8)
    image = squares.repeat_interleave(8, 2).repeat_interleave(8, 3)
    if kind == 'clusters':
        model.target.palette.copy_(colours / 255)
    ideal = model.wanted(to_unit(image)).values
    if kind in ('bins', 'clusters'):
        classes = 8 if kind == 'bins' else 4
        ideal = torch.nn.functional.one_hot(ideal, classes).movedim(-1, -3).float()
        ideal = ideal.flatten(1, 2) if kind == 'bins' else ideal
    monkeypatch.setattr(model, 'predict', lambda image, mask: ideal)
    pasted = reconstruct(model, image, torch.ones(2, 4, 4, dtype=torch.bool))[:, 2]
    error = (pasted.int() - image.int()).abs().max()
    assert error <= (255 / 16 + 1 if kind == 'bins' else 1)


def test_a_palette_is_not_looked_for_again(tmp_path) -> None:
    np.save(tmp_path / 'p.npy', np.random.default_rng(0).random((5, 3)))
    target = {'type': 'ColourClusters', 'palette': str(tmp_path / 'p.npy'), 'reduce': 8}
    record = {**RECORD, 'model': {**MODEL, 'target': target}, 'target': {'width': 5}}
    state = build(MODELS, record['model']).state_dict()
    torch.save({'state_dict': state, 'meta': {'mimbench': record}}, tmp_path / 'a.pth')
    (tmp_path / 'p.npy').unlink()
    loaded = load_method(tmp_path / 'a.pth').model
    assert torch.equal(loaded.target.palette, state['target.palette'])


def test_tokens_cannot_be_drawn(tmp_path) -> None:
    model = {**MODEL, 'target': {'type': 'TokenTarget', 'tokenizer': {'type': 'DalleTokenizer'}}}
    record = {**RECORD, 'model': model, 'target': {'kind': 'ids', 'width': 3, 'stride': 1}}
    with pytest.raises(UserError, match='SimMIM on ids predicts nothing with colours'):
        load_drawable(checkpoint(tmp_path / 'a.pth', record=record))


@pytest.mark.parametrize(('damage', 'message'), [
    ({'record': 'SimMIM'}, 'records no pre-training method'),
    ({'record': {'backbone': BACKBONE}}, 'records no pre-training method'),
    ({'without': 'backbone.blocks'}, 'no known dialect'),
    ({'record': {**RECORD, 'model': {**MODEL, 'backbone': {**BACKBONE, 'img_size': 64}}}},
     'not what it records: pos_embed'),
])  # fmt: skip
def test_files_that_restore_nothing(tmp_path, damage: dict, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_method(checkpoint(tmp_path / 'a.pth', **damage))


def test_the_command_says_in_json_what_it_drew(tmp_path, photos) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    picture, result = draw(path, photos, '--json', '--count', '1', '--scale', '1')
    record = json.loads(result.stdout)
    assert record['written'] == str(path.with_suffix('.png')) and record['method'] == 'SimMIM'
    assert (len(record['images']), record['missing']) == (1, [])
    assert picture.width == 3 * 32 + 4 * 6


def test_arguments_of_the_backbone_may_be_given(tmp_path, photos) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    picture, _ = draw(path, photos, '--backbone', 'img_size=64', '--count', '1', '--scale', '1')
    assert picture.width == 3 * 64 + 4 * 6


def test_an_image_that_cannot_be_decoded_is_left_out_and_named(tmp_path, photos) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    (photos / '1.png').write_bytes(b'no picture')
    picture, result = draw(path, photos, '--scale', '1', '--json')
    assert f'skipped {photos / "1.png"}' in result.stderr
    assert [Path(name).name for name in json.loads(result.stdout)['images']] == ['0.png', '2.png']
    assert picture.height == 2 * 32 + 3 * 6 + 18


def test_more_images_than_a_pass_takes_are_drawn_alike(tmp_path, photos, monkeypatch) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    whole = draw(path, photos)[0].tobytes()
    monkeypatch.setattr('pretrain.inspect.reconstruction.BATCH', 2)
    assert draw(path, photos)[0].tobytes() == whole


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--scale', '100000'), 'make a picture of .* million'),
        (('--out', 'a.gif'), r'call the picture \*\.png or \*\.jpg'),
    ],
)
def test_pictures_that_cannot_be_written_are_refused(tmp_path, photos, words, message) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    result = CliRunner().invoke(command, [str(path), str(photos), *words])
    assert isinstance(result.exception, UserError)
    assert re.search(message, str(result.exception))


def test_a_picture_called_jpg_is_a_jpeg(tmp_path, photos) -> None:
    path = checkpoint(tmp_path / 'a.pth')
    result = CliRunner().invoke(command, [str(path), str(photos), '--out', str(tmp_path / 'a.jpg')])
    assert result.exception is None
    assert Image.open(tmp_path / 'a.jpg').format == 'JPEG'
