"""Pre-training checkpoints of the released code and ours become the whole model again."""

import pytest
import torch
from torch import Tensor

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from pretrain.methods.beit import BEiT
from pretrain.methods.beit_checkpoint import load_beit
from pretrain.methods.beitv2 import BEiTv2

BACKBONE = dict(
    type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=3, num_heads=2), img_size=32,
    patch_size=8, pos_embed='none', rel_pos_bias='shared', qkv_bias='qv', layer_scale=0.1,
    mask_token=True)  # fmt: skip


def released(model: BEiT) -> dict[str, Tensor]:
    """A state dict under the released names, which leave out `backbone.`."""
    state = model.state_dict()
    del state['tokenizer_digest']
    names = {key: key.removeprefix('backbone.') for key in state}
    index = {'rel_pos_bias.relative_position_index': torch.zeros(17, 17, dtype=torch.int64)}
    return {names[key]: value for key, value in state.items()} | index


def v2(**options) -> BEiTv2:
    return BEiTv2(BACKBONE, codes=16, early_layers=2, **options).eval()


@pytest.mark.parametrize('shared', [True, False])
@pytest.mark.parametrize('wrapper', ['model', 'module', None])
def test_released_names_round_trip(shared: bool, wrapper: str | None) -> None:
    model = v2(shared_lm_head=shared)
    state = released(model)
    found, record = load_beit({wrapper: state} if wrapper else state, early_layers=2)
    assert record == {}
    assert (found.cls_pt_lm_head is None) == shared
    image, mask = torch.randn(2, 3, 32, 32), torch.rand(2, 4, 4) < 0.5
    for branch, logits in model.predict(image, mask).items():
        torch.testing.assert_close(found.predict(image, mask)[branch], logits, atol=1e-6, rtol=0)


def test_what_the_file_says_of_its_early_layers_counts() -> None:
    state = released(v2())
    assert load_beit({'model': state, 'args': {'early_layers': 1}})[0].early_layers == 1
    with pytest.raises(CheckpointError, match=r'early_layers 9 are more than its 3 blocks'):
        load_beit({'model': state}, early_layers=9)
    with pytest.raises(CheckpointError, match='3 blocks are no published size; give --early'):
        load_beit({'model': state})


def test_one_branch_is_beit() -> None:
    found, _ = load_beit(released(BEiT(BACKBONE, codes=16)))
    assert type(found) is BEiT
    assert found.lm_head.out_features == 16


def test_our_checkpoint_brings_record_and_digest(tmp_path) -> None:
    model = v2()
    model.tokenizer_digest = torch.arange(32, dtype=torch.uint8)
    config = dict(type='BEiTv2', backbone=BACKBONE, codes=16, early_layers=2,
                  target=dict(type='BEiTv2Tokenizer', checkpoint='gone.pth'))  # fmt: skip
    record = dict(method='BEiTv2', backbone=BACKBONE, model=config, img_size=32)
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'mimbench': record}}, path)
    found, said = load_beit(path)
    assert said['img_size'] == 32
    state = found.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(('change', 'message'), [
    (lambda s: s.pop('lm_head.weight'), 'has no lm_head'),
    (lambda s: s.pop('lm_head.bias'), r'lacks lm_head\.bias'),
    (lambda s: s.pop('cls_pt_layers.1.mlp.fc2.bias'), r'lacks cls_pt_layers\.1\.mlp\.fc2\.bias'),
    (lambda s: s.update({'cls_pt_head.weight': torch.ones(1)}), r'cls_pt_head\.weight, which has'),
    (lambda s: s.update({'lm_head.bias': torch.ones(3)}), r'lm_head\.bias is \(3,\), expected'),
    (lambda s: s.pop('blocks.0.mlp.fc1.bias'), r'blocks\.0\.mlp\.fc1\.bias'),
])  # fmt: skip
def test_incomplete_files_are_refused(change, message) -> None:
    state = released(v2())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        load_beit(state, early_layers=2)
