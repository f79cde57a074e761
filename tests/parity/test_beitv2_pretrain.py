"""BEiT v2 pre-training: masked forward pass, prediction of visual tokens at hidden patches."""

import pytest
import torch
import torch.nn.functional as F

from mim_backbones import from_checkpoint, load_pretrained
from pretrain.images.preprocessor import Normalise
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


@pytest.mark.golden(FAMILY)
def test_patch_tokens_and_predictions(golden, same, backbone) -> None:
    mask, state = golden['mask'].bool(), golden['state_dict']
    tokens = rows(backbone.forward_tokens(golden['image'], mask.view(-1, *backbone.grid)))
    same('patch_tokens', tokens, golden['patch_tokens'])
    unmasked = rows(backbone.forward_tokens(golden['image']))
    same('patch_tokens_unmasked', unmasked, golden['patch_tokens_unmasked'])

    logits = F.linear(tokens[mask], state['lm_head.weight'], state['lm_head.bias'])
    same('logits', logits, golden['logits'])
    same('labels', golden['token_ids'][mask], golden['labels'], atol=0)
    loss = golden['loss_mim' if 'loss_mim' in golden else 'loss']
    same('loss', F.cross_entropy(logits, golden['labels']), loss)


@pytest.mark.golden(FAMILY)
def test_architecture_is_read_from_the_file(golden, same, unseen) -> None:
    backbone, report = from_checkpoint(golden['state_dict'], **unseen(golden))
    assert report.missing == report.unexpected == report.fresh == []
    found = rows(backbone.eval().forward_tokens(golden['image']))
    same('patch_tokens_unmasked', found, golden['patch_tokens_unmasked'])


@pytest.fixture
def method(golden, unseen):
    """The whole pre-training model of the golden state dict."""
    config = golden['config']
    given = {'early_layers': config['early_layers']} if config['cls_pretraining'] else {}
    model, record, missing = load_method(
        golden['state_dict'], backbone=unseen(golden), options=given
    )
    assert (record, missing) == ({}, [])
    model.normalise = Normalise((0.0,), (1.0,))  # the file's images are normalised already
    return model


@pytest.mark.golden(FAMILY)
def test_branches_logits_and_losses(golden, same, method) -> None:
    grid = method.backbone.grid
    mask, ids = (golden[key].view(-1, *grid) for key in ('mask', 'token_ids'))
    suffix = {'mim': '', 'cls': '_cls_pt'}
    branches = method.patch_tokens(golden['image'], mask.bool())
    assert ('cls' in branches) == golden['config']['cls_pretraining']
    for branch, tokens in branches.items():
        same('patch_tokens', tokens, golden[f'patch_tokens{suffix[branch]}'])
    for branch, tokens in method.patch_tokens(golden['image']).items():
        same('patch_tokens_unmasked', tokens, golden[f'patch_tokens{suffix[branch]}_unmasked'])
    for branch, logits in method.predict(golden['image'], mask.bool()).items():
        same('logits', logits, golden[f'logits{suffix[branch]}'])

    found = method.loss(golden['image'], mask.bool(), Wanted(ids))
    losses = {key: value for key, value in found.items() if 'loss' in key}
    for branch in branches if len(branches) > 1 else ():
        field = f'loss_{branch}' if branch == 'mim' else f'loss_{branch}_pt'
        near(same, field, losses[f'loss_{branch}'], golden[field])
    near(same, 'loss', sum(losses.values()), golden['loss'])


@pytest.mark.golden(FAMILY)
def test_gradients(golden, same, method) -> None:
    mask, ids = (golden[key].view(-1, *method.backbone.grid) for key in ('mask', 'token_ids'))
    found = method.loss(golden['image'], mask.bool(), Wanted(ids))
    sum(value for key, value in found.items() if 'loss' in key).backward()
    own = dict(method.named_parameters())
    for name, gradient in golden['grads'].items():
        parameter = own[name if name in own else f'backbone.{name}']
        same(f'grads {name}', parameter.grad, gradient)
