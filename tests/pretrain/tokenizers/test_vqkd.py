"""The tokenizer and the method around it: shapes, freezing, files, the teacher's place."""

import pytest
import torch

from mim_backbones import from_checkpoint
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from pretrain.methods.vqkd import VQKD
from pretrain.tokenizers.trained import load_tokenizer
from pretrain.tokenizers.vqkd import VQKDTokenizer

VIT = dict(
    type='mim_backbones.MIMViT', arch=dict(embed_dim=32, depth=2, num_heads=2), img_size=32,
    patch_size=8, qkv_bias='qv', final_norm=False, fc_norm=True,
)  # fmt: skip
TEACHER = dict(
    type='BackboneTeacher', random_weights=True,
    backbone=dict(type='mim_backbones.MIMViT', arch=dict(embed_dim=16, depth=1, num_heads=2),
                  patch_size=8),
)  # fmt: skip
TARGET = dict(type='FeatureTarget', teacher=TEACHER)
CODEBOOK = dict(codes=16, dim=8)


def model(**options) -> VQKD:
    torch.manual_seed(0)
    config = dict(
        backbone=VIT, codebook=CODEBOOK, target=TARGET,
        decoder=dict(arch=dict(embed_dim=24, depth=1, num_heads=2)),
    )  # fmt: skip
    return VQKD(**{**config, **options})


def checkpoint(trained: VQKD) -> dict:
    """As the Runner and MethodRecord write it."""
    recorded = dict(type='VQKD', backbone=VIT, codebook=CODEBOOK)
    record = {'method': 'VQKD', 'backbone': VIT, 'model': recorded, 'img_size': 32}
    return {'state_dict': trained.state_dict(), 'meta': {'mimbench': record}}


def test_ids_losses_and_shapes() -> None:
    vqkd, image = model(), torch.rand(3, 3, 32, 32)
    losses = vqkd(image, mode='loss')
    assert set(losses) == {'loss_rec', 'loss_quant'}
    assert 0 < losses['loss_rec'] < 2
    ids = vqkd(image)
    assert ids.shape == (3, 4, 4) and ids.dtype == torch.int64
    assert vqkd.codes == 16 and vqkd.input_size == 32 and vqkd.token_px == 8
    assert vqkd.encode(torch.rand(1, 3, 32, 48)).shape == (1, 4, 6)  # other sizes too


def test_every_parameter_learns_and_the_teacher_is_no_part() -> None:
    vqkd = model()
    sum(vqkd(torch.rand(4, 3, 32, 32), mode='loss').values()).backward()
    idle = [name for name, p in vqkd.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert [n for n in vqkd.state_dict() if 'target' in n] == ['target.fingerprint']
    assert not any(p.requires_grad for p in vqkd.target.frozen.net.parameters())


def test_a_random_teacher_is_the_same_whatever_was_drawn_before() -> None:
    image, one = torch.rand(1, 3, 32, 32), model()
    torch.rand(7)
    other = VQKD(VIT, dict(arch=dict(embed_dim=24, depth=1, num_heads=2)), TARGET, CODEBOOK)
    assert torch.equal(one.target(image).values, other.target(image).values)
    assert not torch.equal(one.backbone.pos_embed, other.backbone.pos_embed)


def test_training_lowers_the_loss() -> None:
    vqkd = model()
    image = torch.rand(8, 3, 32, 32).round()
    optimizer = torch.optim.AdamW(vqkd.parameters(), 2e-3)
    found = []
    for _ in range(30):
        losses = vqkd(image, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        found.append(float(losses['loss_rec'].detach()))
    assert found[-1] < 0.8 * found[0]


def test_a_file_of_ours_gives_the_same_ids(tmp_path) -> None:
    vqkd = model()
    vqkd(torch.rand(4, 3, 32, 32), mode='loss')
    torch.save(checkpoint(vqkd), tmp_path / 'vqkd.pth')
    tokenizer = load_tokenizer(tmp_path / 'vqkd.pth')
    assert type(tokenizer) is VQKDTokenizer
    image = torch.rand(2, 3, 32, 32)
    assert torch.equal(tokenizer.encode(image), vqkd.encode(image))
    assert tokenizer.quantize.steps == 0  # statistics stay behind: one tokenizer, one fingerprint


def test_frozen_for_good() -> None:
    vqkd = model()
    vqkd(torch.rand(4, 3, 32, 32), mode='loss')
    tokenizer = load_tokenizer(checkpoint(vqkd))
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    owner = torch.nn.Sequential(tokenizer)
    owner.train()
    assert not any(module.training for module in tokenizer.modules())
    tokenizer.quantize(tokenizer.features(torch.rand(2, 3, 32, 32)))
    assert all(torch.equal(value, before[n]) for n, value in tokenizer.state_dict().items())


def test_the_encoder_of_a_file_is_a_backbone(tmp_path) -> None:
    vqkd = model()
    torch.save(checkpoint(vqkd), tmp_path / 'vqkd.pth')
    backbone, report = from_checkpoint(tmp_path / 'vqkd.pth')
    assert report.missing == report.unexpected == []
    image = torch.rand(1, 3, 32, 32)
    expected = vqkd.backbone.forward_tokens(image)
    torch.testing.assert_close(backbone.forward_tokens(image), expected)


def test_what_is_no_tokenizer() -> None:
    vqkd = model()
    with pytest.raises(CheckpointError, match='before its codebook was started'):
        load_tokenizer(checkpoint(vqkd))
    with pytest.raises(CheckpointError, match='holds no VQ-KD tokenizer'):
        load_tokenizer({'blocks.0.norm1.weight': torch.ones(3)})
    vqkd(torch.rand(4, 3, 32, 32), mode='loss')
    damaged = checkpoint(vqkd)
    del damaged['state_dict']['encode_task_layer.0.bias']
    with pytest.raises(
        CheckpointError, match=r'no whole VQ-KD tokenizer: it lacks encode_task_layer\.0'
    ):
        load_tokenizer(damaged)
    other = checkpoint(vqkd)
    other['meta']['mimbench']['model']['codebook'] = dict(codes=17, dim=8)
    with pytest.raises(
        CheckpointError, match=r'quantize.codebook is \(16, 8\), expected \(17, 8\)'
    ):
        load_tokenizer(other)
    with pytest.raises(CheckpointError, match='does not exist'):
        load_tokenizer('no/such/file.pth')


def test_grids_must_agree() -> None:
    with pytest.raises(ValueError, match=r'BackboneTeacher at 16 px gives a 2x2 grid, MIMViT has '
                       r'4x4 tokens; model.target.teacher.input_size=32 would fit'):  # fmt: skip
        model(target={**TARGET, 'teacher': {**TEACHER, 'input_size': 16}})
