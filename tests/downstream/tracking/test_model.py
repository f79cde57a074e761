import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.utils.data import DataLoader

from downstream.tracking.data import read_sequences
from downstream.tracking.pairs import TrackingPairs
from downstream.tracking.scoring.curves import dataset_scores, sequence_curves
from downstream.tracking.scoring.frame_errors import frame_errors
from downstream.tracking.tracker import track_sequences
from tests.downstream.tracking.conftest import lasot

SMALL = {'template_size': 32, 'search_size': 64, 'min_frames': 5}
NO_CHANGES = {'gray': 0, 'flip': 0, 'branch_flip': 0, 'brightness': 0}


def a_batch(count=2):
    return {
        'inputs': {
            'template': torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8),
            'search': torch.randint(0, 256, (count, 3, 64, 64), dtype=torch.uint8),
        },
        'boxes': torch.tensor([[0.3, 0.3, 0.3, 0.2]] * count),
    }


def test_maps_and_losses(make_model):
    model = make_model()
    data = model.data_preprocessor(a_batch(), training=True)
    assert data['inputs']['search'].dtype == torch.float32
    maps = model(data['inputs'], mode='tensor')
    assert maps.score.shape == (2, 1, 8, 8)
    losses = model(**data, mode='loss')
    assert {name for name in losses if 'loss' in name} == {'loss_focal', 'loss_giou', 'loss_l1'}
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_uint8_is_normalised_as_published(make_model):
    model = make_model()
    white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert model.data_preprocessor.normalise(white)[0, :, 0, 0].tolist() == pytest.approx(expected)


def test_template_and_search_see_each_other(make_model):
    model = make_model().eval()
    data = model.data_preprocessor(a_batch(1))['inputs']
    with torch.no_grad():
        before = model(data, mode='tensor').score
        after = model({**data, 'template': -data['template']}, mode='tensor').score
    assert (before - after).abs().max() > 1e-6


@pytest.mark.parametrize(('template', 'search'), [(16, 48), (48, 96)])
def test_any_multiple_of_the_patch_size(make_model, template, search):
    model = make_model(template_size=template, search_size=search)
    inputs = {'template': torch.rand(2, 3, template, template)}
    inputs['search'] = torch.rand(2, 3, search, search)
    maps = model(inputs, mode='tensor')
    assert maps.score.shape[-1] == search // 8
    assert model.hann.shape == (search // 8, search // 8)


def test_crops_must_fit_the_patches(make_model):
    with pytest.raises(
        ValueError, match="search_size=60 is not a multiple of the features' stride 8"
    ):
        make_model(search_size=60)


def test_the_head_compares_template_and_search(make_model):
    """A map for each token of the template, standardised over the search crop."""
    model, seen = make_model(compare=True).eval(), []
    model.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model({'template': torch.rand(1, 3, 32, 32), 'search': torch.rand(1, 3, 64, 64)})
    assert seen[0].shape == (1, 32 + 16, 8, 8)
    torch.testing.assert_close(seen[0][:, 32:].mean((2, 3)), torch.zeros(1, 16), atol=1e-5, rtol=0)


def test_losses_are_float32_under_bf16(make_model):
    model = make_model()
    data = model.data_preprocessor(a_batch(), training=True)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(**data, mode='loss')
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert all(value.isfinite() for value in losses.values())


def test_learns_to_follow_squares(make_model, lasot_root):
    """A few seconds of training: the loss falls and the squares are followed."""
    model = make_model()
    pairs = TrackingPairs(lasot(lasot_root), length=160 * 16, augment=NO_CHANGES, **SMALL)
    sequences = read_sequences(lasot_root, 'training_set.txt')
    before = score(model, sequences)
    optim = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=2e-3))
    model.train()
    totals = []
    for batch in DataLoader(pairs, batch_size=16):
        logged = model.train_step(batch, optim)
        totals.append(logged['loss'].item())
    after = score(model, sequences)
    assert sum(totals[-10:]) < 0.4 * sum(totals[:10])
    assert after['AUC'] > max(45, before['AUC'] + 20)


def score(model, sequences):
    tracks = track_sequences(model.eval(), sequences)
    return dataset_scores(
        [
            sequence_curves(frame_errors(track.boxes, sequence.boxes, sequence.visible))
            for sequence, track in zip(sequences, tracks)
        ]
    )
