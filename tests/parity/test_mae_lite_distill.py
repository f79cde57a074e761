"""D-MAE-Lite and D2-MAE-Lite: relations, hidden states, losses and gradients of both students."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from mim_backbones import load_pretrained
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from pretrain.losses import l2
from pretrain.methods import distilled
from pretrain.methods.d_mae import DMAE
from pretrain.methods.distilled import Adapter
from pretrain.methods.load import load_method
from pretrain.methods.mae import EARLY_BLOCKS, MAE
from pretrain.targets.relations import ask
from pretrain.teachers.backbone import BackboneTeacher

FAMILY = 'mae_lite_distill'
RTOL = 1e-5  # of forward values; ten times that of gradients
AS_IT_IS = dict(mean=(0.0,), std=(1.0,))  # the file's images are normalised already
ADAPTER = re.compile(r'(attn|hidden)_adapter\.adapter(\d+)\.weight')
# The weights of attention and hidden states in an entry that has both; no field says them.
BOTH = (0.5, 0.25)


def entries(content: dict) -> list[str]:
    return [name for name, value in content.items() if name.startswith(('d_mae', 'd2_mae'))]


def blocks(state: dict[str, Tensor], prefix: str) -> list[int]:
    """Numbers of the blocks, and only of those with an MLP, below a prefix."""
    whole = re.compile(rf'{re.escape(prefix)}blocks\.(\d+)\.mlp\.fc2\.weight')
    return sorted(int(found[1]) for key in state if (found := whole.fullmatch(key)))


def vit(state: dict[str, Tensor], prefix: str, heads: int, notes: dict[str, Any]) -> dict:
    dim = state[f'{prefix}cls_token'].shape[-1]
    depth = len(blocks(state, prefix))
    return dict(
        type='mim_backbones.MIMViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=heads),
        img_size=notes['img_size'],
        patch_size=notes['patch_size'],
        pos_embed='sincos',
        mlp_ratio=notes.get('mlp_ratio', 4.0),
        norm_eps=notes.get('ln_eps', 1e-6),
    )


def below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


@pytest.fixture
def model(golden, field, monkeypatch) -> DMAE:
    """The student of an entry with its teacher, by the file's shapes and names."""
    entry, notes = golden[field], golden['notes_config']
    state = entry['state_dict']
    # Numbers in the names of adapters are the teacher's blocks.
    found = [m for key in state if (m := ADAPTER.fullmatch(key))]
    mixed, hidden = ([int(m[2]) for m in found if m[1] == kind] for kind in ('attn', 'hidden'))
    heads, wanted = (entry[f'{who}_attn_logits'].shape[1] for who in ('student', 'teacher'))
    extra = f'model.blocks.{len(blocks(state, "model."))}.norm1.weight' in state
    alone = (entry['total_loss'] - entry['recon_loss']) / entry['attn_loss']
    by = BOTH if hidden else (float(alone), 1.0)
    relations = [
        dict(target=dict(type='RelationTarget', block=block), student=-1 if extra else block,
             extra_block=extra, adapter=bool(mixed), weight=by[0])
        for block in mixed or [-1]
    ]  # fmt: skip
    states = [
        dict(target=dict(type='HiddenTarget', block=block), student=block, weight=by[1])
        for block in hidden
    ]
    teacher = vit(state, 'tch_model.', wanted, notes)
    monkeypatch.setattr(distilled, 'block_teacher', lambda name, config, size: loaded(
        BackboneTeacher(backbone=teacher, random_weights=True, input_size=size, **AS_IT_IS),
        below(state, 'tch_model.'),
    ))  # fmt: skip
    decoder = notes['student']
    own = DMAE(
        backbone=vit(state, 'model.', heads, notes),
        teacher={},
        distill=[*relations, *states],
        target=dict(type='PatchTarget', norm_pix=notes['norm_pix_loss'], **AS_IT_IS),
        decoder=dict(
            type='MAEDecoder',
            embed_dim=decoder['decoder_embed_dim'],
            depth=decoder['decoder_depth'],
            num_heads=decoder['decoder_num_heads'],
            mlp_ratio=notes.get('mlp_ratio', 4.0),
            norm_eps=notes.get('ln_eps', 1e-6),
        ),
        decode_from=notes['d2']['decode_after_blocks'] - 1 if extra else None,
        **AS_IT_IS,
    )
    load_pretrained(own.backbone, state)
    names = renamed(own, state)
    missing = own.state_dict().keys() - {f'backbone.{k}' for k in own.backbone.state_dict()}
    assert {k for k in missing if not k.endswith('fingerprint')} == set(names)
    own.load_state_dict(names, strict=False)
    return own.eval()


def loaded(teacher: BackboneTeacher, state: dict[str, Tensor]) -> BackboneTeacher:
    load_pretrained(teacher.net, state)
    return teacher


def renamed(model: DMAE, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is beside the backbone under our names: decoder, adapters, the block of relations."""
    found = MAE.own_names(below(state, 'model.'))
    for key, value in state.items():
        if name := our_name(model, key):
            found[name] = value.flatten(1)[..., None] if 'adapter' in key else value
    return found


def our_name(model: DMAE, key: str) -> str | None:
    """The published name of an adapter's or of the relation block's weight -> ours."""
    if adapter := ADAPTER.fullmatch(key):
        kind = {'attn': 'relations', 'hidden': 'features'}[adapter[1]]
        (part,) = (
            i for i, part in enumerate(model.distill)
            if part.target.kind == kind and part.target.place == int(adapter[2])
        )  # fmt: skip
        return f'distill.{part}.adapter.weight'
    extra = f'model.blocks.{model.backbone.depth}.'
    if key.startswith(extra):
        return f'distill.0.extra_block.{key.removeprefix(extra)}'
    return None


def mask_of(entry: dict) -> Tensor:
    side = round(entry['mask'].shape[1] ** 0.5)
    return entry['mask'].bool().view(-1, side, side)


@pytest.mark.golden(FAMILY, each=entries)
def test_relations_of_both_and_the_adapted_ones(golden, field, same, model) -> None:
    """The first layer listed; tokens in the order of the file."""
    entry = golden[field]
    count = entry['ids_shuffle'].shape[1]
    keep = entry['ids_shuffle'][:, : int(count * (1 - entry['mask_ratio']))]
    part = model.distill[0]
    (x,) = model.backbone.block_inputs(entry['images'], (part.place,), keep=keep)
    said = part.read(model.backbone, x, model.backbone.grid, keep)
    same(f'{field} student_attn_logits', said, entry['student_attn_logits'], rtol=RTOL)
    (answer,) = ask([part.target], entry['images'], keep)
    same(f'{field} teacher_attn_logits', answer.values, entry['teacher_attn_logits'], rtol=RTOL)
    same(f'{field} adapted', part.adapter(said), entry['adapted'], rtol=RTOL)


@pytest.mark.golden(FAMILY, each=entries)
def test_losses_and_prediction(golden, field, same, model) -> None:
    entry = golden[field]
    found = model(entry['images'], mask_of(entry), mode='loss')
    same(f'{field} recon_loss', found['loss_rec'], entry['recon_loss'], rtol=RTOL)
    same(f'{field} total_loss', sum(found.values()), entry['total_loss'], rtol=RTOL)
    for kind, name in (('relations', 'attn_loss'), ('features', 'hidden_loss')):
        parts = [part for part in model.distill if part.target.kind == kind]
        if parts:
            value = found[f'loss_{kind}'] / parts[0].weight
            same(f'{field} {name}', value.double(), entry[name], rtol=RTOL)
    pred = model.predict(entry['images'], mask_of(entry)).flatten(2).transpose(1, 2)
    same(f'{field} pred', pred, entry['pred'], rtol=RTOL)


@pytest.mark.golden(FAMILY, each=entries)
def test_gradients(golden, field, same, model) -> None:
    entry = golden[field]
    sum(model(entry['images'], mask_of(entry), mode='loss').values()).backward()
    for name, gradient in entry['grads'].items():
        own = our_name(model, name) or name.replace('model.', 'backbone.', 1)
        if name.removeprefix('model.').startswith(('decoder_', 'mask_token')):
            (own,) = MAE.own_names({name.removeprefix('model.'): gradient})
        found = model.get_parameter(own).grad
        same(f'{field} {name}', found.view_as(gradient), gradient, rtol=10 * RTOL)
    trained = {k for k, p in model.named_parameters() if p.grad is not None}
    fixed = {k for k, p in model.named_parameters() if not p.requires_grad}
    assert not entry['grad_none'], 'every weight of the release has a gradient'
    assert trained | fixed == {k for k, _ in model.named_parameters()}


@pytest.mark.golden(FAMILY, each=entries)
def test_a_released_file_predicts_without_its_teacher(golden, field, same, tmp_path) -> None:
    """Under the names of a file of the release, `module.` before the student's."""
    entry, notes = golden[field], golden['notes_config']
    state = {f'module.{key}': value for key, value in entry['state_dict'].items()}
    torch.save({'model': state}, tmp_path / 'distilled.pth')
    options = {
        'norm_pix': notes['norm_pix_loss'],
        'decoder_heads': notes['student']['decoder_num_heads'],
    }
    given = {'norm_eps': notes['ln_eps'], 'num_heads': notes['student']['num_heads']}
    if field.startswith('d2') and len(blocks(state, 'module.model.')) not in EARLY_BLOCKS:
        with pytest.raises(CheckpointError, match=r'which of its \d+ blocks is decoded; give --d'):
            load_method(tmp_path / 'distilled.pth', backbone=given, options=options)
        options['decode_from'] = notes['d2']['decode_after_blocks'] - 1
    found = load_method(tmp_path / 'distilled.pth', backbone=given, options=options)
    assert found.missing == [] and type(found.model) is MAE
    found.model.normalise = torch.nn.Identity()
    pred = found.model.predict(entry['images'], mask_of(entry)).flatten(2).transpose(1, 2)
    same(f'{field} pred', pred, entry['pred'], rtol=RTOL)


@pytest.mark.golden(FAMILY, needs=['pure_maps'])
def test_the_error_of_given_maps(golden, same) -> None:
    maps = golden['pure_maps']
    weight = maps['adapter_weight']
    adapter = Adapter(weight.shape[1], weight.shape[0])
    adapter.weight.data.copy_(weight.flatten(1)[..., None])
    adapted = l2(adapter(maps['student']), maps['teacher']).mean()
    same('pure_maps loss_with_adapter', adapted, maps['loss_with_adapter'], rtol=RTOL)
    plain = l2(maps['student'], maps['teacher']).mean()
    same('pure_maps loss_identity', plain, maps['loss_identity'], rtol=RTOL)
