"""A grid of linear probes: each cell is what it would be alone."""

import copy

import pytest
import torch
import torch.nn.functional as F

from downstream.classification.probe import GridRates, LinearGrid, block_widths
from downstream.evaluation.protocols import recipes
from mim_backbones.data_spec import load_data_spec
from mim_backbones.registry import MODELS
from mim_backbones.training.lars import LARS
from tests.downstream.classification.test_reader import SMALL, VIT


def grid(**options) -> LinearGrid:
    given = {'rates': (0.1, 1.0), 'norms': ('none', 'final', 'batch', 'final_batch')}
    return LinearGrid(backbone=VIT, num_classes=3, **{**given, **options}).train()


def test_the_cells_are_named_in_the_order_of_their_logits() -> None:
    model = grid(blocks=(-1,), pools=('cls', 'mean'), norms=('none',))
    assert model.names == (
        'block 2, cls, none, rate x0.1', 'block 2, cls, none, rate x1',
        'block 2, mean, none, rate x0.1', 'block 2, mean, none, rate x1',
    )  # fmt: skip
    image = torch.randn(2, 3, 32, 32)
    (tokens,) = model.backbone.block_tokens(image, (-1,))
    expected = model.heads[1][0](tokens[:, 1:].mean(1))
    torch.testing.assert_close(model(image)[:, 2], expected)


def test_maes_probe_reads_the_normed_cls_token() -> None:
    model = grid(blocks=(-1,), pools=('cls',), norms=('final_batch',), rates=(1.0,))
    image = torch.randn(4, 3, 32, 32)
    (feature,) = model.extract(image)
    torch.testing.assert_close(feature, model.backbone.forward_pooled(image, 'cls').detach())


@pytest.mark.parametrize('kind', ['SGD', 'mim_backbones.LARS'])
@pytest.mark.parametrize('kept', [False, True], ids=['pictures', 'features'])
def test_training_the_grid_is_training_each_cell_alone(kind, kept) -> None:
    model = grid()
    alone = copy.deepcopy(model)
    optimizer = {'type': kind, 'lr': 0.5, 'momentum': 0.9, 'weight_decay': 0.01}
    wrapper = GridRates({'optimizer': optimizer})(model)
    batches = [torch.randn(6, 3, 32, 32) for _ in range(4)]
    if kept:
        batches = [model.pooled(image) for image in batches]
        assert {each.shape for each in batches} == {(6, model.width)}
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    for image in batches:
        losses = model(image, target=F.one_hot(labels, 3).float(), mode='loss')
        wrapper.update_params(losses['loss'])
    make = LARS if kind != 'SGD' else torch.optim.SGD
    assert len(model.names) == 2 * 3 * 4 * 2
    with torch.no_grad():
        features = [alone.extract(image) for image in batches]
    for place, (norm, heads) in enumerate(zip(alone.norms, alone.heads, strict=True)):
        for number, rate in enumerate((0.1, 1.0)):
            own, head = copy.deepcopy(norm), heads[number]
            single = make(head.parameters(), lr=0.5 * rate, momentum=0.9, weight_decay=0.01)
            for each in features:
                single.zero_grad()
                F.cross_entropy(head(own(each[place])), labels).backward()
                single.step()
            name = model.names[2 * place + number]
            found = model.heads[place][number]
            torch.testing.assert_close(found.weight, head.weight, msg=name)
            torch.testing.assert_close(found.bias, head.bias, msg=name)
    assert not any(p.requires_grad for p in model.backbone.parameters())


@pytest.mark.parametrize('family', SMALL)
def test_widths_are_those_of_the_blocks(family) -> None:
    backbone = MODELS.build(dict(SMALL[family]))
    maps = backbone.intermediates(torch.randn(1, 3, 64, 64), range(backbone.depth))
    assert block_widths(backbone) == [each.shape[1] for each in maps]


def test_a_backbone_without_what_is_read_is_refused() -> None:
    with pytest.raises(ValueError, match='no CLS token or final norm'):
        LinearGrid(backbone={**VIT, 'cls_token': False}, num_classes=3, pools=('cls',))
    with pytest.raises(ValueError, match='known: none, final, batch'):
        grid(norms=('layer',))


PROBES = [
    name
    for name, one in recipes().items()
    if one.protocol.task == 'classification' and name.startswith('linear')
]


@pytest.mark.parametrize('name', PROBES)
def test_every_recipe_trains_and_scores_its_grid(name, world, make_job, train_job) -> None:
    recipe = recipes()[name]
    options = {
        f'{split}_dataloader.{key}': value
        for split in ('train', 'test')
        for key, value in (
            ('dataset.view.img_size', 64),
            ('num_workers', 0),
            ('persistent_workers', False),
        )
    }
    options |= {
        'model.backbone.img_size': 64,
        'train_cfg.max_epochs': 1,
        'train_dataloader.batch_size': 4,
        'auto_scale_lr.base_batch_size': 4,
    }
    job = make_job(
        'classification', None, backbone=SMALL[recipe.protocol.family], protocol=recipe.protocol,
        recipe=str(recipe.path), options=options,
    )  # fmt: skip
    found = train_job(job, load_data_spec(world))
    rows = found.tables['top-1']
    if recipe.protocol.tier == 'full':
        assert list(rows) == ['block 2, cls, final_batch, rate x1']
        assert set(rows[next(iter(rows))]) == {'test'}  # nothing is held out of the release's
    else:
        assert len(rows) == {'vit': 2 * 3 * 3 * 5}.get(recipe.protocol.family, 4 * 2 * 5)
        best = max(rows, key=lambda row: rows[row]['held out'])
        assert found.metrics['top1'] == pytest.approx(rows[best]['test'], abs=1e-3)
