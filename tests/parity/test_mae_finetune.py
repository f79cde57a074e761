"""MAE's classifiers: mean pooling and CLS, another resolution, linear probe with BatchNorm."""

import re
from typing import Any

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mim_backbones import load_pretrained
from mim_backbones.backbones.vit import MIMViT

FAMILY = 'mae_finetune'
POOLS = {'global_pool': 'mean', 'cls_token': 'cls'}


@pytest.fixture
def classifier(golden):
    """classifier(entry, img_size): the backbone of an entry, loaded, and the report."""

    def build(entry: str, img_size: int):
        backbone = vit(golden[entry]['state_dict'], img_size, num_heads(golden))
        # Its names are timm's, whose own rule resizes positions with antialias; MAE's does not.
        return backbone, load_pretrained(backbone, golden[entry]['state_dict'], antialias=False)

    return build


def vit(state: dict[str, torch.Tensor], img_size: int, heads: int) -> MIMViT:
    dim, channels, patch_size, _ = state['patch_embed.proj.weight'].shape
    depth = 1 + max(int(key.split('.')[1]) for key in state if key.startswith('blocks.'))
    return MIMViT(
        {'embed_dim': dim, 'depth': depth, 'num_heads': heads},
        img_size=img_size,
        patch_size=patch_size,
        in_channels=channels,
        final_norm='norm.weight' in state,
        fc_norm='fc_norm.weight' in state,
    ).eval()


def num_heads(golden: dict[str, Any]) -> int:
    """The files do not store it: the divisor of the width that comes closest to the feature."""
    entry = next(name for name in POOLS if name in golden)
    state, image = golden[entry]['state_dict'], golden['img']

    def difference(heads: int) -> float:
        backbone = vit(state, image.shape[-1], heads)
        load_pretrained(backbone, state)
        feature = backbone.forward_pooled(image, POOLS[entry])
        return float((feature.detach() - golden[entry]['feature']).abs().max())

    width = len(state['cls_token'].flatten())
    return min((h for h in range(1, width + 1) if width % h == 0), key=difference)


def entries(content: dict[str, Any]) -> list[str]:
    return [name for name in POOLS if name in content]


def resolutions(content: dict[str, Any]) -> list[str]:
    """global_pool_96, ..."""
    return [n for n in content for e in entries(content) if re.fullmatch(rf'{e}_\d+', n)]


@pytest.mark.golden(FAMILY, each=entries)
def test_feature_and_logits(golden, field, same, classifier) -> None:
    entry, fields = field, golden[field]
    backbone, report = classifier(entry, golden['img'].shape[-1])
    assert report.missing == report.unexpected == []
    feature = backbone.forward_pooled(golden['img'], POOLS[entry])
    same(f'{entry} feature', feature, fields['feature'])
    head = [fields['state_dict'][f'head.{name}'] for name in ('weight', 'bias')]
    same(f'{entry} logits', F.linear(feature, *head), fields['logits'])


@pytest.mark.golden(FAMILY, each=entries)
def test_keys_of_a_pretrained_file(golden, field, classifier, left_out) -> None:
    entry, fields = field, golden[field]
    backbone, _ = classifier(entry, golden['img'].shape[-1])
    state = {k: v for k, v in fields['state_dict'].items() if k not in fields['missing_keys']}
    decoder = {key: torch.zeros(1) for key in fields['unexpected_keys']}
    report = load_pretrained(backbone, {**state, **decoder})
    assert {*report.fresh, 'head.weight', 'head.bias'} == {*fields['missing_keys']}
    assert left_out(report) == {*fields['unexpected_keys']}


@pytest.mark.golden(FAMILY, each=resolutions)
def test_another_resolution(golden, field, same, classifier) -> None:
    entry, fields = field.rpartition('_')[0], golden[field]
    image = fields['img']
    backbone, _ = classifier(entry, image.shape[-1])
    same(f'{field} pos_embed', backbone.pos_embed, fields['pos_embed'])
    feature = backbone.forward_pooled(image, POOLS[entry])
    same(f'{field} feature', feature, fields['feature'])
    head = [golden[entry]['state_dict'][f'head.{k}'] for k in ('weight', 'bias')]
    same(f'{field} logits', F.linear(feature, *head), fields['logits'])
    unchanged, _ = classifier(entry, golden['img'].shape[-1])
    at_run_time = unchanged.forward_pooled(image, POOLS[entry])
    same(f'{field} feature, resized at run time', at_run_time, fields['feature'])


@pytest.mark.golden(FAMILY, needs=['linprobe', 'cls_token'])
def test_linear_probe(golden, same, classifier) -> None:
    fields, head = golden['linprobe'], golden['cls_token']['state_dict']
    backbone, _ = classifier('cls_token', golden['img'].shape[-1])
    feature = backbone.forward_pooled(golden['img'], 'cls').detach()
    same('linprobe feature', feature, fields['feature'])
    norm = nn.BatchNorm1d(feature.shape[1], affine=False, eps=1e-6)
    train = F.linear(norm(feature), head['head.weight'], head['head.bias'])
    same('linprobe logits_train', train, fields['logits_train'])
    same('linprobe running_mean', norm.running_mean, fields['running_mean'])
    same('linprobe running_var', norm.running_var, fields['running_var'])
    evaluated = F.linear(norm.eval()(feature), head['head.weight'], head['head.bias'])
    same('linprobe logits_eval', evaluated, fields['logits_eval'])
