"""BEiT v2 pre-training: masked forward pass, prediction of visual tokens at hidden patches."""

import pytest
import torch.nn.functional as F

from mim_backbones import from_checkpoint, load_pretrained

FAMILY = 'beitv2_pretrain'


@pytest.fixture
def backbone(golden, official_vit):
    backbone = official_vit(golden['config'], mask_token=True)
    report = load_pretrained(backbone, golden['state_dict'])
    assert report.missing == report.unexpected == []
    return backbone


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


@pytest.mark.golden(FAMILY)
def test_gradients(golden, same, backbone) -> None:
    if golden['config']['cls_pretraining']:
        return  # its gradients also come through the CLS head
    mask, state = golden['mask'].bool(), golden['state_dict']
    tokens = rows(backbone.forward_tokens(golden['image'], mask.view(-1, *backbone.grid)))
    lm_head = [state[f'lm_head.{k}'].clone().requires_grad_() for k in ('weight', 'bias')]
    F.cross_entropy(F.linear(tokens[mask], *lm_head), golden['labels']).backward()
    for name, gradient in golden['grads'].items():
        head = name.startswith('lm_head.')
        own = lm_head[name.endswith('bias')] if head else backbone.get_parameter(name)
        same(f'grads {name}', own.grad, gradient)
