"""Pre-training checkpoints of the released code and ours become the whole model again."""

import importlib
import sys

import pytest
import torch
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.errors import UserError
from mim_backbones.training.launch import build_runner
from pretrain.methods.beit import BEiT
from pretrain.methods.beitv2 import BEiTv2
from pretrain.methods.load import load_method
from pretrain.registry import MODELS
from tests.pretrain.small import VIT, absent_ids, recipe, write_blobs

BACKBONE = dict(
    type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=3, num_heads=2), img_size=32,
    patch_size=8, pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
    mask_token=True)  # fmt: skip


def released(model: BEiT) -> dict[str, Tensor]:
    """A state dict under the released names, which leave out `backbone.`."""
    state = model.state_dict()
    del state['target.fingerprint']
    names = {key: key.removeprefix('backbone.') for key in state}
    index = {'rel_pos_bias.relative_position_index': torch.zeros(17, 17, dtype=torch.int64)}
    return {names[key]: value for key, value in state.items()} | index


def v2(**options) -> BEiTv2:
    return BEiTv2(BACKBONE, absent_ids(), early_layers=2, **options).eval()


@pytest.mark.parametrize('shared', [True, False])
@pytest.mark.parametrize('wrapper', ['model', 'module', None])
def test_released_names_round_trip(shared: bool, wrapper: str | None) -> None:
    model = v2(shared_lm_head=shared)
    state = released(model)
    source = {wrapper: state} if wrapper else state
    found, record, missing = load_method(source, options={'early_layers': 2})
    assert (record, missing) == ({}, [])
    assert (found.cls_pt_lm_head is None) == shared
    image, mask = torch.rand(2, 3, 32, 32), torch.rand(2, 4, 4) < 0.5
    for branch, logits in model.predict(image, mask).items():
        torch.testing.assert_close(found.predict(image, mask)[branch], logits, atol=1e-6, rtol=0)


def test_what_the_file_says_of_its_early_layers_counts() -> None:
    state = released(v2())
    assert load_method({'model': state, 'args': {'early_layers': 1}}).model.early_layers == 1
    with pytest.raises(CheckpointError, match=r'early_layers 9 are more than its 3 blocks'):
        load_method({'model': state}, options={'early_layers': 9})
    with pytest.raises(CheckpointError, match='3 blocks are no published size; give --early'):
        load_method({'model': state})


def test_one_branch_is_beit() -> None:
    found = load_method(released(BEiT(BACKBONE, absent_ids()))).model
    assert type(found) is BEiT
    assert found.lm_head.out_features == 16


def test_our_checkpoint_brings_record_and_fingerprint(tmp_path) -> None:
    """Its tokenizer's file is gone and not looked for."""
    model = v2()
    model.target.fingerprint = torch.arange(32, dtype=torch.uint8)
    target = dict(type='TokenTarget', tokenizer=dict(type='BEiTv2Tokenizer', checkpoint='gone.pth'))
    config = dict(type='BEiTv2', backbone=BACKBONE, early_layers=2, target=target)
    record = dict(method='BEiTv2', backbone=BACKBONE, model=config, img_size=32,
                  target=model.target.facts())  # fmt: skip
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'mimbench': record}}, path)
    found, said, missing = load_method(path)
    assert said['img_size'] == 32 and missing == []
    state = found.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(('change', 'message'), [
    (lambda s: s.pop('lm_head.weight'), 'records no pre-training method'),
    (lambda s: s.update({'cls_pt_head.weight': torch.ones(1)}), r'cls_pt_head\.weight, which has'),
    (lambda s: s.update({'lm_head.bias': torch.ones(3)}), r'lm_head\.bias is \(3,\), expected'),
    (lambda s: s.pop('blocks.0.mlp.fc1.bias'), r'blocks\.0\.mlp\.fc1\.bias'),
])  # fmt: skip
def test_incomplete_files_are_refused(change, message) -> None:
    state = released(v2())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        load_method(state, options={'early_layers': 2})


@pytest.mark.parametrize('name', ['lm_head.bias', 'cls_pt_layers.1.mlp.fc2.bias'])
def test_what_is_missing_of_the_heads_is_named(name: str) -> None:
    state = released(v2())
    del state[name]
    assert load_method(state, options={'early_layers': 2}).missing == [name]


PLUGIN = """
from pretrain.methods.simmim import SimMIM
from pretrain.registry import MODELS

@MODELS.register_module(force=True)
class Elsewhere(SimMIM):
    'A method of a package of somebody else.'
"""


def test_custom_imports_are_recorded_and_imported_again(tmp_path, monkeypatch) -> None:
    (tmp_path / 'elsewhere_method.py').write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    images = write_blobs(tmp_path / 'images')
    config = recipe({'type': 'Elsewhere', 'backbone': VIT}, images, tmp_path / 'run', epochs=1)
    config.custom_imports = {'imports': ['elsewhere_method'], 'allow_failed_imports': False}
    importlib.import_module('elsewhere_method')  # as mmengine does when it reads a config's file
    build_runner(config).train()
    del sys.modules['elsewhere_method']
    MODELS.module_dict.pop('Elsewhere')
    loaded = load_method(tmp_path / 'run' / 'epoch_1.pth')
    assert type(loaded.model).__name__ == 'Elsewhere' and loaded.missing == []
    del sys.modules['elsewhere_method']
    (tmp_path / 'elsewhere_method.py').unlink()
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=r'elsewhere_method.*not installed'):
        load_method(tmp_path / 'run' / 'epoch_1.pth')
