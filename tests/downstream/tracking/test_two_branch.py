import pytest
import torch

from downstream.tracking.correlation import correlation
from downstream.tracking.two_branch import TwoBranchTracker

SWIN = {
    'type': 'mim_backbones.MIMSwin',
    'arch': {'embed_dim': 8, 'depths': (1, 1, 1), 'num_heads': (1, 2, 2)},
    'patch_size': 4,
    'window_size': 4,
    'out_indices': (2,),
}
HIERA = {
    'type': 'mim_backbones.MIMHiera',
    'arch': {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': 1},
    'img_size': 64,
    'out_indices': (2,),
}


def make(backbone, **options):
    sizes = {'template_size': 64, 'search_size': 128, 'head': {'channels': 16}}
    return TwoBranchTracker(backbone, **{**sizes, **options})


@pytest.mark.parametrize('backbone', [SWIN, HIERA], ids=['swin', 'hiera'])
def test_every_parameter_learns(backbone):
    model = make(backbone)
    inputs = {'template': torch.rand(2, 3, 64, 64), 'search': torch.rand(2, 3, 128, 128)}
    losses = model(inputs, torch.tensor([[0.3, 0.3, 0.3, 0.2]] * 2), mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    maps = model(inputs)
    assert maps.score.shape == (2, 1, 8, 8)
    unread = {name for name, each in model.named_parameters() if each.grad is None}
    assert all(name.startswith('backbone.') for name in unread)
    assert not any('patch_embed' in name for name in unread)


def test_the_template_is_looked_for():
    """A search map that holds the template's features answers where they are, by hand."""
    template = torch.eye(3)[None, :2]
    search = torch.stack([3 * torch.eye(3)[0], torch.eye(3)[2], 0.5 * torch.eye(3)[1]])[None]
    found = correlation(template, search)
    assert found.argmax(2).tolist() == [[0, 2]]
    torch.testing.assert_close(found[0, 0], torch.tensor([2, -1, -1]) / 2**0.5, atol=1e-3, rtol=0)


def test_one_map_only():
    with pytest.raises(ValueError, match='returns 2 maps'):
        make({**SWIN, 'out_indices': (1, 2)})
