"""What a frozen ViT says of visible tokens: shapes, one pass, no more of it than is asked."""

import pytest
import torch

from pretrain.registry import MODELS, build
from pretrain.targets.base import Student, bound_target
from pretrain.targets.frozen import Frozen
from pretrain.targets.relations import HiddenTarget, RelationTarget, ask
from pretrain.teachers.backbone import BackboneTeacher
from tests.pretrain.small import METHODS, method

DEEP = {'type': 'mim_backbones.MIMViT', 'arch': {'embed_dim': 24, 'depth': 3, 'num_heads': 4},
        'patch_size': 8, 'pos_embed': 'sincos'}  # fmt: skip
KEEP = torch.tensor([[3, 0, 9, 12], [1, 2, 15, 7]])


@pytest.fixture
def teacher() -> Frozen:
    return Frozen(BackboneTeacher(input_size=32, backbone=DEEP, random_weights=True), 'same')


def test_shapes_and_kinds(teacher) -> None:
    image = torch.rand(2, 3, 32, 32)
    relations, hidden = RelationTarget(teacher, 1), HiddenTarget(teacher, -1)
    assert (relations.kind, relations.width, relations.place) == ('relations', 4, 1)
    assert (hidden.kind, hidden.width, hidden.place) == ('features', 24, 3)
    one, other = ask([relations, hidden], image, KEEP)
    assert one.values.shape == (2, 4, 5, 5) and other.values.shape == (2, 24, 5)
    assert relations(image).values.shape == (2, 4, 17, 17)
    assert not one.values.requires_grad and not list(relations.parameters())
    assert relations.state_dict().keys() == {'fingerprint'} and relations.fingerprint.any()


def test_hidden_states_are_the_normed_inputs_of_blocks(teacher) -> None:
    net, image = teacher.net, torch.rand(2, 3, 32, 32)
    seen = net.prepare(image)
    states = ask([HiddenTarget(teacher, block) for block in (0, 2, 3)], image, KEEP)
    first, last = net.net.block_tokens(seen, (1, 2), keep=KEEP)
    (embedded,) = net.net.block_inputs(seen, (0,), keep=KEEP)
    expected = (net.net.blocks[0].norm1(embedded), net.net.blocks[2].norm1(first),
                net.net.norm(last))  # fmt: skip
    for state, tokens in zip(states, expected, strict=True):
        assert torch.equal(state.values, tokens.transpose(1, 2))


def test_one_pass_answers_all_and_ends_before_the_last_block_asked(teacher) -> None:
    vit, run = teacher.net.net, []
    for number, block in enumerate(vit.blocks):
        block.register_forward_hook(lambda *_, number=number: run.append(number))
    targets = [RelationTarget(teacher, 0), HiddenTarget(teacher, 1), RelationTarget(teacher, -2)]
    ask(targets, torch.rand(2, 3, 32, 32), KEEP)
    assert run == [0]  # the logits of block 1 want its input only


def test_what_is_hidden_from_it_is_not_seen(teacher) -> None:
    target, image = RelationTarget(teacher), torch.rand(2, 3, 32, 32)
    places = torch.ones(2, 16, dtype=torch.bool).scatter(1, KEEP, False).view(2, 1, 4, 4)
    hidden = places.repeat_interleave(8, 2).repeat_interleave(8, 3)
    said = target(image, KEEP).values
    assert torch.equal(target(torch.where(hidden, 0.5, image), KEEP).values, said)
    assert not torch.equal(target(torch.where(hidden, image, 0.5), KEEP).values, said)
    order = torch.tensor([0, 4, 2, 1, 3])  # CLS stays; other order of places, other order of rows
    turned = target(image, KEEP[:, order[1:] - 1]).values
    torch.testing.assert_close(turned, said[:, :, order][..., order])


@pytest.mark.parametrize(('kind', 'block', 'count'), [
    (RelationTarget, 3, 3), (RelationTarget, -4, 3), (HiddenTarget, 4, 4),
])  # fmt: skip
def test_a_block_that_is_not_there(teacher, kind, block: int, count: int) -> None:
    with pytest.raises(ValueError, match=f'{kind.__name__}: block {block} of {count}'):
        kind(teacher, block)


def test_another_grid_is_refused_naming_both(teacher) -> None:
    with pytest.raises(ValueError, match='at 32 px gives a 4x4 grid, ViT has 2x2 tokens; both'):
        RelationTarget(teacher).bind(Student('ViT', (32, 32), 16))
    target = bound_target(RelationTarget(teacher), method('MAE').backbone)
    assert (target.grid, target.stride, target.view) == ((4, 4), 8, None)


def test_a_teacher_of_finer_patches_sees_the_same_crop_smaller() -> None:
    """Patches of 4 px at half the size: the same places."""
    fine = {**DEEP, 'patch_size': 4}
    model = build(MODELS, {**METHODS['DMAE'], 'teacher': {
        'type': 'BackboneTeacher', 'backbone': fine, 'random_weights': True, 'input_size': 16,
    }})  # fmt: skip
    (part,) = model.distill
    assert part.target(torch.rand(2, 3, 32, 32), KEEP).values.shape == (2, 4, 5, 5)
