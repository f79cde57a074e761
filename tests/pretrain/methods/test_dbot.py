"""dBOT: its loss by hand, its teachers, the end of a stage alone, in two processes and compiled."""

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from mim_backbones import from_checkpoint
from mim_backbones.training.compilation import compile_loss
from mim_backbones.training.launch import build_runner
from pretrain.methods.start import draw_mae
from pretrain.targets.base import Progress, Wanted
from tests.pretrain.methods.step_process import check_two_as_one
from tests.pretrain.small import HIERA, MAE_VIT, METHODS, method, recipe, write_blobs

MODEL = METHODS['DBOT']
NAME = 'blocks.1.mlp.fc1.weight'


def staged(**target: Any) -> dict[str, Any]:
    return {**MODEL, 'target': {'type': 'BootstrapTarget', **target}}


def masks(count: int) -> Tensor:
    """Half of 4 x 4 cells hidden in each, (count, 4, 4)."""
    return (torch.rand(count, 16).argsort(1) < 8).view(count, 4, 4)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def run(tmp_path_factory, images):
    """Folder of four epochs of two steps, two a stage; the first teacher has no blocks."""
    folder = tmp_path_factory.mktemp('dbot') / 'run'
    torch.manual_seed(0)
    build_runner(recipe(staged(first_depth=0), images, folder, epochs=4)).train()
    return folder


def weights(folder, epoch: int) -> dict[str, Tensor]:
    return torch.load(folder / f'epoch_{epoch}.pth', weights_only=False)['state_dict']


def test_the_loss_by_hand() -> None:
    """CLS is 4 off, each of 8 hidden tokens by 1; beta = 2: (4 - 1 + 8 / 4) / 9. The visible ones
    do not count."""
    model = method('DBOT')
    mask = torch.arange(16).view(1, 4, 4) < 8
    values = torch.where(mask, 1.0, 50.0)[:, None].expand(-1, 32, -1, -1)
    wanted = Wanted(values, torch.full((1, 32), 4.0))
    torch.nn.init.zeros_(model.decoder.pred.weight)
    loss = model.loss(torch.rand(1, 3, 32, 32), mask, wanted)['loss']
    assert loss.item() == pytest.approx((3 + 8 * 0.25) / 9)


def test_the_first_teacher_is_the_student_as_it_starts() -> None:
    model = method('DBOT').train()
    state = model.target.teacher_model.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in model.backbone.state_dict().items())
    image = torch.rand(2, 3, 32, 32)
    (tokens,) = model.backbone.block_tokens(model.normalise(image), (-1,))
    wanted = model.target(image)
    mean, std = tokens.mean(2, keepdim=True), (tokens.var(2, keepdim=True) + 1e-6).sqrt()
    expected = (tokens - mean) / std
    torch.testing.assert_close(wanted.whole, expected[:, 0])
    torch.testing.assert_close(wanted.values.flatten(2).transpose(1, 2), expected[:, 1:])
    model(image, masks(2), mode='loss')['loss'].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert not any(p.requires_grad for p in model.target.parameters())


def test_a_first_teacher_without_blocks_says_patches_and_positions() -> None:
    model = method('DBOT', target={'type': 'BootstrapTarget', 'first_depth': 0, 'norm': 'none'})
    image = torch.rand(2, 3, 32, 32)
    patches = model.backbone.embed_patches(model.normalise(image))
    torch.testing.assert_close(model.target(image).values.flatten(2).transpose(1, 2), patches)


def test_a_first_teacher_from_a_checkpoint(run) -> None:
    path = str(run / 'epoch_1.pth')
    model = method('DBOT', target={'type': 'BootstrapTarget', 'checkpoint': path})
    expected = weights(run, 1)[f'backbone.{NAME}']
    for _ in range(2):
        assert torch.equal(model.target.teacher_model.get_parameter(NAME), expected)
        assert not torch.equal(model.backbone.get_parameter(NAME), expected)
        model.init_weights()
    assert model.target.files == (path,)


def test_no_teacher_drops_paths() -> None:
    backbone = {**MAE_VIT, 'drop_path_rate': 0.9}
    model = method('DBOT', backbone=backbone, decoder={**MODEL['decoder'], 'drop_path_rate': 0.5})
    image = torch.rand(4, 3, 32, 32)
    one, two = (model.train().target(image).values for _ in range(2))
    assert torch.equal(one, two)
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in model.backbone.blocks]
    assert rates == [0.0, 0.9]


def test_a_decoder_may_drop_paths() -> None:
    """Rising from 0 as the encoder's: the last of three blocks has the rate."""
    decoder = {**MODEL['decoder'], 'depth': 3, 'drop_path_rate': 0.5}
    blocks = method('DBOT', decoder=decoder).decoder.blocks
    assert [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks] == [0.0, 0.25, 0.5]


@pytest.mark.parametrize(('stages', 'total', 'switches'), [
    ((1, 1), 4, [2]), ((800, 800), 6, [3]), ((8, 12), 20, [8]), ((1, 1, 1), 6, [2, 4]),
    ((1,), 3, []), ((1, 1), 1, []),
])  # fmt: skip
def test_stages_end_where_their_lengths_say_but_the_last(stages, total, switches) -> None:
    model = method('DBOT', target={'type': 'BootstrapTarget', 'stages': stages})
    found = []
    for done in range(1, total + 1):
        before = int(model.target.stage)
        model.target.update(model, Progress(done, total, 1))
        found += [done] * (int(model.target.stage) - before)
    assert found == switches


def test_what_a_start_draws() -> None:
    """The bias of the projection stays, as released; norms and biases are what they start as."""
    model = method('DBOT')
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.fill_(7.0)
    model.draw_again(3)
    first = {k: p.clone() for k, p in model.named_parameters() if p.requires_grad}
    for name, value in first.items():
        if name == 'backbone.patch_embed.proj.bias':
            assert (value == 7).all()
        elif name.endswith('bias'):
            assert not value.any(), name
        elif 'norm' in name:
            assert (value == 1).all(), name
        else:
            assert 0 < value.std() < 0.5 and value.abs().max() < 1, name
    bound = (6 / (32 + 3 * 64)) ** 0.5  # Xavier's, of a whole patch of 8 px
    assert 0.9 * bound < first['backbone.patch_embed.proj.weight'].abs().max() <= bound
    state = torch.get_rng_state()
    model.draw_again(3)
    assert all(torch.equal(p, first[k]) for k, p in model.named_parameters() if p.requires_grad)
    model.draw_again(4)
    assert not torch.equal(model.backbone.cls_token, first['backbone.cls_token'])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_that_went_back_over_an_end_finds_it_again() -> None:
    model = method('DBOT')
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.target.update(model, Progress(2, 4, 1))
    after = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.copy_(before[name])
    model.target.update(model, Progress(3, 4, 1))
    assert int(model.target.stage) == 1
    assert all(torch.equal(value, after[name]) for name, value in model.state_dict().items())


def test_the_teacher_of_the_second_stage_is_the_student_of_the_first(run) -> None:
    one, two, last = (weights(run, epoch) for epoch in (1, 2, 4))
    teacher = f'target.teacher_model.{NAME}'
    assert [int(state['target.stage']) for state in (one, two, last)] == [0, 1, 1]
    assert torch.equal(two[teacher], last[teacher]) and not torch.equal(one[teacher], two[teacher])
    # Drawn anew with the second epoch's last step, the teacher is what that step made.
    moved = (two[teacher] - one[f'backbone.{NAME}']).abs().max()
    assert 0 < moved < 0.02 < (two[f'backbone.{NAME}'] - two[teacher]).abs().max()
    backbone, _ = from_checkpoint(run / 'epoch_4.pth')
    assert torch.equal(backbone.get_parameter(NAME), last[f'backbone.{NAME}'])


@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_killed_in_any_stage_it_ends_as_never_stopped(epoch: int, run, images, tmp_path) -> None:
    folder = tmp_path / 'again'
    folder.mkdir()
    shutil.copy(run / f'epoch_{epoch}.pth', folder)
    config = recipe(staged(first_depth=0), images, folder, epochs=4)
    config.resume = True
    torch.manual_seed(9)  # a seed of its own would draw another student
    build_runner(config).train()
    expected = weights(run, 4)
    assert all(torch.equal(value, expected[k]) for k, value in weights(folder, 4).items())


def test_the_optimizer_keeps_its_moments(run) -> None:
    """At the end of a stage each weight has as many steps behind it as the run."""
    saved = torch.load(run / 'epoch_2.pth', weights_only=False)['optimizer']['state']
    assert {int(moments['step']) for moments in saved.values()} == {4}
    assert all(moments['exp_avg'].any() for moments in saved.values())


def test_a_stage_ends_in_a_compiled_run_too(run, images, tmp_path) -> None:
    """No graph is cut; where the teacher gets other blocks, another is made."""
    config = recipe(staged(first_depth=0), images, tmp_path / 'run', epochs=4)
    config.compile = {'backend': 'eager', 'fullgraph': True}
    torch.manual_seed(0)
    build_runner(config).train()
    expected = weights(run, 4)
    for name, value in weights(tmp_path / 'run', 4).items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(('first_depth', 'graphs'), [(None, 1), (0, 2)])
def test_the_same_graph_serves_teachers_of_as_many_blocks(first_depth, graphs) -> None:
    torch._dynamo.reset()
    counters.clear()
    model = method('DBOT', target={'type': 'BootstrapTarget', 'first_depth': first_depth}).train()
    compile_loss(model, backend='eager')
    image, mask = torch.rand(2, 3, 32, 32), masks(2)
    losses = []
    for done in (1, 2):
        losses.append(model(image, mask, mode='loss')['loss'].item())
        model.target.update(model, Progress(done, 3, 1))
    losses.append(model(image, mask, mode='loss')['loss'].item())
    assert not counters['graph_break'] and counters['stats']['unique_graphs'] == graphs
    assert losses[2] != losses[0]
    torch._dynamo.reset()


def test_two_processes_are_as_one(tmp_path) -> None:
    """Over the end of a stage, where both draw the same student, whatever they drew before."""
    batches = [
        {'image': torch.rand(4, 3, 32, 32, dtype=torch.float64), 'mask': masks(4)} for _ in range(4)
    ]
    alone = check_two_as_one(
        MODEL, batches, 4, tmp_path, apart=('0 target.seed',), atol=1e-6, rtol=1e-5
    )  # the seed of the first is asked for with the second step
    teacher = f'target.teacher_model.{NAME}'
    assert torch.equal(alone[f'1 {teacher}'], alone[f'3 {teacher}'])
    assert not torch.equal(alone[f'0 {teacher}'], alone[f'1 {teacher}'])


@pytest.mark.parametrize(('changes', 'message'), [
    ({'target': {'type': 'BootstrapTarget', 'first_depth': 3}}, 'first_depth=3 of 2'),
    ({'target': {'type': 'BootstrapTarget', 'stages': (1, 0)}}, r'stages=\(1, 0\); lengths are'),
    ({'target': {'type': 'BootstrapTarget', 'norm': 'l2'}}, "norm='l2'; known: none, layer"),
    ({'backbone': {**MAE_VIT, 'layer_scale': 0.1}}, 'leave layer_scale out of the backbone'),
    ({'backbone': {**MAE_VIT, 'cls_token': False}}, 'a MIMViT with a CLS token in stages'),
    ({'backbone': {**HIERA, 'mask_token': False, 'q_pool': 2}}, 'a MIMViT with a CLS token in'),
    ({'target': {'type': 'PatchTarget'}}, 'values of the whole image from the target'),
])  # fmt: skip
def test_what_does_not_fit_is_refused(changes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method('DBOT', **changes)


def test_other_methods_cannot_be_drawn_again() -> None:
    with pytest.raises(ValueError, match=r'in stages; take model.type=DBOT'):
        method('SimMIM', target={'type': 'BootstrapTarget'})


def test_all_of_a_vit_is_drawn_again() -> None:
    """Learned positions and the biases of queries and values among it."""
    backbone = {**MAE_VIT, 'pos_embed': 'learned', 'qkv_bias': 'qv', 'num_registers': 1}
    vit = method('DBOT', backbone=backbone).backbone
    with torch.no_grad():
        for weight in vit.parameters():
            weight.fill_(7.0)
    draw_mae(vit)
    left = [name for name, weight in vit.named_parameters() if (weight == 7).any()]
    assert left == ['patch_embed.proj.bias']
