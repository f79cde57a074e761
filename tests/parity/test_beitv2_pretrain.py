"""BEiT v2 pre-training: masked forward pass, prediction of visual tokens at hidden patches."""

import pytest
import torch
import torch.nn.functional as F

from mim_backbones import from_checkpoint, load_pretrained
from mim_backbones.images.normalise import Normalise
from pretrain.methods.load import load_method
from pretrain.targets.base import Wanted

FAMILY = 'beitv2_pretrain'


@pytest.fixture
def backbone(golden, official_vit):
    backbone = official_vit(golden['config'], mask_token=True)
    report = load_pretrained(backbone, golden['state_dict'])
    assert report.missing == report.unexpected == []
    return backbone


def near(same, field, found, expected) -> None:
    """A loss: 1e-6 of its value."""
    same(field, found / expected, torch.ones_like(expected), atol=1e-6)


def rows(maps):
    """(B, D, H, W) -> (B, H*W, D)."""
    return maps.flatten(2).transpose(1, 2)


@pytest.mark.golden(FAMILY, each=['patch_tokens', 'patch_tokens_unmasked'])
def test_patch_tokens(golden, field, same, backbone) -> None:
    mask = golden['mask'].bool().view(-1, *backbone.grid)
    masks = [mask] if field == 'patch_tokens' else []
    same(field, rows(backbone.forward_tokens(golden['image'], *masks)), golden[field])


@pytest.mark.golden(FAMILY, needs=['mask', 'token_ids'], each=['labels', 'logits', 'loss'])
def test_predictions(golden, field, same, backbone) -> None:
    mask, state = golden['mask'].bool(), golden['state_dict']
    labels = golden['token_ids'][mask]
    if field == 'labels':
        same('labels', labels, golden['labels'], atol=0)
        return
    tokens = rows(backbone.forward_tokens(golden['image'], mask.view(-1, *backbone.grid)))
    logits = F.linear(tokens[mask], state['lm_head.weight'], state['lm_head.bias'])
    if field == 'logits':
        same('logits', logits, golden['logits'])
        return
    loss = golden.get('loss_mim', golden['loss'])
    same('loss', F.cross_entropy(logits, labels), loss)


@pytest.mark.golden(FAMILY, needs=['patch_tokens_unmasked'])
def test_architecture_is_read_from_the_file(golden, same, unseen) -> None:
    backbone, report = from_checkpoint(golden['state_dict'], **unseen(golden))
    assert report.missing == report.unexpected == report.fresh == []
    found = rows(backbone.eval().forward_tokens(golden['image']))
    same('patch_tokens_unmasked', found, golden['patch_tokens_unmasked'])


@pytest.fixture
def method(golden, unseen):
    """The whole pre-training model of the golden state dict."""
    early = golden['config'].get('early_layers')
    second = any(name.startswith('cls_pt_layers') for name in golden['state_dict'])
    given = {'early_layers': early} if second and early else {}
    model, record, missing = load_method(
        golden['state_dict'], backbone=unseen(golden), options=given
    )
    assert (record, missing) == ({}, [])
    assert second == hasattr(model, 'cls_pt_layers')
    model.normalise = Normalise((0.0,), (1.0,))  # the file's images are normalised already
    return model


def branch_fields(field: str):
    """field(content): both branches' fields of this kind that the file has."""

    def fields(content: dict) -> list[str]:
        return [name for name in (field, f'{field}_cls_pt') if name in content]

    fields.__name__ = field
    return fields


def branch_of(field: str) -> str:
    return 'cls' if 'cls_pt' in field else 'mim'


@pytest.mark.golden(FAMILY, each=branch_fields('patch_tokens'))
def test_patch_tokens_of_each_branch(golden, field, same, method) -> None:
    mask = golden['mask'].bool().view(-1, *method.backbone.grid)
    same(field, method.patch_tokens(golden['image'], mask)[branch_of(field)], golden[field])
    unmasked = golden.get(f'{field}_unmasked')
    if unmasked is not None:
        found = method.patch_tokens(golden['image'])[branch_of(field)]
        same(f'{field}_unmasked', found, unmasked)


@pytest.mark.golden(FAMILY, each=branch_fields('logits'))
def test_logits_of_each_branch(golden, field, same, method) -> None:
    mask = golden['mask'].bool().view(-1, *method.backbone.grid)
    same(field, method.predict(golden['image'], mask)[branch_of(field)], golden[field])


def losses(golden, method) -> dict:
    """Of each branch, under the released names, and their sum."""
    mask, ids = (golden[key].view(-1, *method.backbone.grid) for key in ('mask', 'token_ids'))
    found = method.loss(golden['image'], mask.bool(), Wanted(ids))
    named = {'loss_cls': 'loss_cls_pt'}
    each = {named.get(key, key): value for key, value in found.items() if 'loss' in key}
    return {**each, 'loss': sum(each.values())}


@pytest.mark.golden(FAMILY, each=['loss', 'loss_mim', 'loss_cls_pt'])
def test_losses(golden, field, same, method) -> None:
    near(same, field, losses(golden, method)[field], golden[field])


@pytest.mark.golden(FAMILY, needs=['grads'])
def test_gradients(golden, same, method, own_table) -> None:
    losses(golden, method)['loss'].backward()
    own = dict(method.named_parameters())
    for name, gradient in golden['grads'].items():
        name = own_table(name)
        parameter = own[name if name in own else f'backbone.{name}']
        same(f'grads {name}', parameter.grad, gradient)
