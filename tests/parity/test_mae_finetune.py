"""MAE's classifiers: mean pooling and CLS, another resolution, linear probe with BatchNorm."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mim_backbones import load_pretrained
from mim_backbones.vit import MIMViT

FAMILY = 'mae_finetune'
POOLS = {'global_pool': 'mean', 'cls_token': 'cls'}
HEADS = 4  # not stored in the files


@pytest.fixture
def classifier(golden):
    """classifier(entry, img_size): the backbone of an entry, loaded, and the report."""

    def build(entry: str, img_size: int):
        state = golden[entry]['state_dict']
        dim, _, patch_size, _ = state['patch_embed.proj.weight'].shape
        depth = 1 + max(int(key.split('.')[1]) for key in state if key.startswith('blocks.'))
        backbone = MIMViT(
            {'embed_dim': dim, 'depth': depth, 'num_heads': HEADS},
            img_size=img_size,
            patch_size=patch_size,
            final_norm='norm.weight' in state,
            fc_norm='fc_norm.weight' in state,
        ).eval()
        return backbone, load_pretrained(backbone, state)

    return build


@pytest.mark.parametrize('entry', POOLS)
@pytest.mark.golden(FAMILY)
def test_feature_and_logits(golden, same, classifier, entry) -> None:
    fields = golden[entry]
    backbone, report = classifier(entry, golden['img'].shape[-1])
    assert report.missing == report.unexpected == []
    feature = backbone.forward_pooled(golden['img'], POOLS[entry])
    same(f'{entry} feature', feature, fields['feature'])
    head = [fields['state_dict'][f'head.{name}'] for name in ('weight', 'bias')]
    same(f'{entry} logits', F.linear(feature, *head), fields['logits'])


@pytest.mark.parametrize('entry', POOLS)
@pytest.mark.golden(FAMILY)
def test_keys_of_a_pretrained_file(golden, classifier, left_out, entry) -> None:
    fields = golden[entry]
    backbone, _ = classifier(entry, golden['img'].shape[-1])
    state = {k: v for k, v in fields['state_dict'].items() if k not in fields['missing_keys']}
    decoder = {key: torch.zeros(1) for key in fields['unexpected_keys']}
    report = load_pretrained(backbone, {**state, **decoder})
    assert {*report.fresh, 'head.weight', 'head.bias'} == {*fields['missing_keys']}
    assert left_out(report) == {*fields['unexpected_keys']}


@pytest.mark.parametrize('entry', POOLS)
@pytest.mark.golden(FAMILY)
def test_another_resolution(golden, same, classifier, entry) -> None:
    for name in [n for n in golden if n.startswith(f'{entry}_')]:  # global_pool_96, ...
        fields = golden[name]
        image = fields['img']
        backbone, _ = classifier(entry, image.shape[-1])
        same(f'{name} pos_embed', backbone.pos_embed, fields['pos_embed'])
        feature = backbone.forward_pooled(image, POOLS[entry])
        same(f'{name} feature', feature, fields['feature'])
        head = [golden[entry]['state_dict'][f'head.{k}'] for k in ('weight', 'bias')]
        same(f'{name} logits', F.linear(feature, *head), fields['logits'])
        unchanged, _ = classifier(entry, golden['img'].shape[-1])
        at_run_time = unchanged.forward_pooled(image, POOLS[entry])
        same(f'{name} feature, resized at run time', at_run_time, fields['feature'])


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
