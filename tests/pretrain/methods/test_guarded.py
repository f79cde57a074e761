"""Every method goes back once from what is not finite, then stops naming the module."""

import pytest
import torch

from mim_backbones.errors import UserError
from mim_backbones.training.guard.hook import REWOUND
from mim_backbones.training.launch import build_runner
from tests.pretrain.small import METHODS, recipe, write_blobs


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_blobs(tmp_path_factory.mktemp('images'))


def runner_that_breaks(name: str, images, work_dir, *steps: int):
    """Two images a step, two steps an epoch, two epochs; in some a block, named, gives NaN."""
    runner = build_runner(recipe(METHODS[name], images, work_dir))

    def spoil(module, inputs, output):
        return output * float('nan') if runner.iter + 1 in steps and module.training else output

    spoilt = runner.model.backbone.blocks[1].mlp.fc1
    spoilt.register_forward_hook(spoil)
    return runner, next(n for n, module in runner.model.named_modules() if module is spoilt)


@pytest.mark.parametrize('name', METHODS)
def test_once_it_goes_on_and_twice_it_stops(name: str, images, tmp_path) -> None:
    once, _ = runner_that_breaks(name, images, tmp_path / 'once', 2)
    once.train()
    assert once.iter == 4
    assert once.message_hub.get_info(REWOUND) == 2
    state = torch.load(tmp_path / 'once' / 'epoch_2.pth', weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in state.values())
    twice, block = runner_that_breaks(name, images, tmp_path / 'twice', 2, 3)
    with pytest.raises(UserError, match=f'iteration 3, for the second.* the output of {block} '):
        twice.train()
    assert [path.name for path in (tmp_path / 'twice').glob('*.pth')] == ['epoch_1.pth']
