"""What a file has that no backbone runs is an error in its user's words, never surplus."""

import pytest
import timm
import torch

from mim_backbones import MIMViT, from_checkpoint, load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.source import Content
from mim_backbones.checkpoints.timm_config import said_by

TINY = {'embed_dim': 32, 'depth': 2, 'num_heads': 2}


def state(**options) -> dict:
    return dict(MIMViT(arch=TINY, img_size=32, patch_size=8, **options).state_dict())


@pytest.mark.parametrize(
    'key',
    ['rel_pos.mlp.0.weight', 'blocks.0.adapter.weight', 'blocks.1.attn.lora_a', 'conv_stem.weight',
     'blocks.0.gate', 'pos_embed_3d', 'cls_token_2', 'norm_out.weight'],
)  # fmt: skip
def test_unexpected_weights_of_the_encoder_are_an_error(key: str) -> None:
    file = {**state(), key: torch.ones(4)}
    with pytest.raises(CheckpointError, match=key.split('.')[0]):
        from_checkpoint(file, num_heads=2)
    backbone = MIMViT(arch=TINY, img_size=32, patch_size=8)
    with pytest.raises(CheckpointError):
        load_pretrained(backbone, file)


def test_unexpected_weights_can_be_left_out_by_name() -> None:
    backbone = MIMViT(arch=TINY, img_size=32, patch_size=8)
    file = {**state(), 'blocks.0.adapter.weight': torch.ones(4)}
    report = load_pretrained(backbone, file, leave_out=['adapter'])
    assert report.ignored['left out as asked'] == ['blocks.0.adapter.weight']
    assert report.unexpected == []
    _, report = from_checkpoint(file, num_heads=2, leave_out=['adapter'])
    assert report.unexpected == []


@pytest.mark.parametrize('key', ['head.weight', 'fc_norm.weight', 'mask_token', 'head_dist.bias'])
def test_heads_are_no_part_of_the_encoder(key: str) -> None:
    size = (1, 1, 32) if key == 'mask_token' else (32,)
    _, report = from_checkpoint({**state(), key: torch.ones(size)}, num_heads=2)
    assert report.unexpected == []


def test_post_norm_is_told_by_timm_only() -> None:
    options = dict(embed_dim=32, depth=2, num_heads=2, patch_size=8, img_size=32)
    model = timm.create_model('vit_base_patch16_rpn_224', **options)
    content = Content('timm:x', dict(model.state_dict()), said_by(model))
    with pytest.raises(CheckpointError, match=r'norms after attention and MLP \(post-norm'):
        from_checkpoint(content)
    with pytest.raises(CheckpointError, match='post-norm'):
        load_pretrained(MIMViT(arch=TINY, img_size=32, patch_size=8, cls_token=False), content)


@pytest.mark.parametrize(
    ('rows', 'cls', 'registers'), [(17, False, 1), (19, True, 2), (16, True, 2), (20, False, 4)]
)
def test_positions_of_registers_go_to_the_tokens(rows: int, cls: bool, registers: int) -> None:
    """16 patches: a row for every token before them, or for none."""
    file = state(cls_token=cls)
    file['reg_token'] = torch.randn(1, registers, 32)
    file['pos_embed'] = torch.randn(1, rows, 32)
    backbone, report = from_checkpoint(file, num_heads=2)
    assert report.unexpected == []
    assert backbone.grid == (4, 4)
    assert torch.equal(backbone.pos_embed[:, int(cls) :], file['pos_embed'][:, rows - 16 :])
    of_tokens = file['pos_embed'][:, int(cls) : rows - 16] if rows > 16 else 0
    torch.testing.assert_close(backbone.register_tokens.data, file['reg_token'] + of_tokens)


def test_positions_of_registers_that_no_grid_explains() -> None:
    file = {**state(), 'reg_token': torch.randn(1, 2, 32), 'pos_embed': torch.randn(1, 23, 32)}
    with pytest.raises(CheckpointError, match=r'23 rows of pos_embed .*give timm:NAME@FILE'):
        from_checkpoint(file, num_heads=2)
