"""Weights of another model are refused, wherever a file of them is named."""

import pytest
import torch
from torch import nn

from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.training.coverage import Coverage
from tests.mim_backbones.checkpoints.safe.test_mmengine_loader import TEST
from tests.mim_backbones.training.line import line_runner, trained


@pytest.fixture
def own(tmp_path):
    """A checkpoint of the model, and a way to change it."""
    trained(tmp_path / 'own', train_cfg={'by_epoch': True, 'max_epochs': 1})
    path = tmp_path / 'own' / 'epoch_1.pth'

    def changed(change=None):
        content = torch.load(path, weights_only=False)
        if change is not None:
            change(content['state_dict'])
        torch.save(content, tmp_path / 'changed.pth')
        return str(tmp_path / 'changed.pth')

    return changed


def resnet18(state: dict) -> None:
    state.clear()
    state.update({'conv1.weight': torch.ones(4, 3, 7, 7), 'fc.bias': torch.ones(10)})


def without(name: str):
    return lambda state: state.pop(name)


def reshaped(name: str):
    return lambda state: state.update({name: torch.ones(7, 7)})


WRONG = {
    # change: (of what `test` says, of what load_from says; None where it is taken)
    'resnet18': (resnet18, '4 of 4 weights', '2 of 2 weights'),
    'no head': (lambda s: [s.pop('head.weight'), s.pop('head.bias')], '2 of 4 weights', None),
    'head of other classes': (reshaped('head.weight'), r'1 of 4 weights \(head.weight\)', None),
    'backbone in part': (
        without('backbone.0.bias'), r'\(backbone.0.bias\)', r'1 of 2 weights \(backbone.0.bias\)'),
    'backbone of another width': (
        reshaped('backbone.0.weight'), r'\(backbone.0.weight\)', r'\(backbone.0.weight\)'),
    'a deeper backbone': (
        lambda s: s.update({'backbone.1.weight': torch.ones(2)}), 'that the model lacks', None),
    'another part beside': (lambda s: s.update({'neck.weight': torch.ones(2)}), None, None),
    'its own': (lambda s: None, None, None),
}  # fmt: skip


@pytest.mark.parametrize('case', WRONG)
def test_testing_takes_its_own_weights_only(own, tmp_path, case: str) -> None:
    change, refused, _ = WRONG[case]
    runner = line_runner(tmp_path / 'test', load_from=own(change), **TEST)
    check(runner.load_or_resume, refused)


@pytest.mark.parametrize('case', WRONG)
def test_training_starts_from_a_whole_backbone(own, tmp_path, case: str) -> None:
    change, _, refused = WRONG[case]
    runner = line_runner(tmp_path / 'train', load_from=own(change))
    check(runner.train, refused)


@pytest.mark.parametrize('case', WRONG)
def test_a_run_is_resumed_with_its_own_weights_only(own, tmp_path, case: str) -> None:
    change, refused, _ = WRONG[case]
    runner = line_runner(tmp_path / 'resume', load_from=own(change), resume=True)
    check(runner.train, refused)


def check(call, refused: str | None) -> None:
    if refused is None:
        call()
        return
    with pytest.raises(CheckpointError, match=refused) as caught:
        call()
    assert '\n' not in str(caught.value)


def test_names_that_a_hook_changes_are_found() -> None:
    """As mmdet's semi-supervised detectors take a supervised one's weights."""
    model = nn.ModuleDict({'student': nn.Linear(2, 2)})

    def hook(state, prefix, *_):
        for name in list(state):
            state[f'student.{name}'] = state.pop(name)

    model._register_load_state_dict_pre_hook(hook)
    coverage = Coverage(model)
    model.load_state_dict(nn.Linear(2, 2).state_dict(), strict=False)
    assert coverage.missing() == []


def test_counters_may_be_missing_averages_may_not() -> None:
    norm = nn.BatchNorm1d(2)
    state = norm.state_dict()
    coverage = Coverage(norm)
    norm.load_state_dict({k: v for k, v in state.items() if k != 'num_batches_tracked'}, False)
    assert coverage.missing() == []
    coverage = Coverage(norm)
    norm.load_state_dict({k: v for k, v in state.items() if k != 'running_var'}, strict=False)
    assert coverage.missing() == ['running_var']
