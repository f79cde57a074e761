import pytest
import torch
from mmengine.logging import HistoryBuffer

from mim_backbones.training.resume import allow_own_checkpoints, history_statistic
from mim_backbones.weights_file import InertObject, inert_attribute, read_weights_file


@pytest.fixture
def checkpoint(tmp_path):
    """What mmengine stores beside tensors: a log buffer."""
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {'w': torch.ones(2)}, 'log': HistoryBuffer([1.0], [1])}, path)
    return path


def test_the_safe_loader_gives_the_buffer_back_whole(checkpoint) -> None:
    with torch.serialization.safe_globals([]):  # undone at the end
        allow_own_checkpoints()
        log = torch.load(checkpoint, weights_only=True)['log']
        assert isinstance(log, HistoryBuffer)
        assert log.current() == 1.0
        # Both stand-ins for getattr are named now; torch picks one of them.
        assert read_weights_file(checkpoint)['state_dict']['w'].tolist() == [1, 1]


@pytest.mark.parametrize('stand_in', [history_statistic, inert_attribute])
def test_nothing_is_looked_up_on_other_objects(stand_in) -> None:
    assert stand_in(InertObject, 'min') == 'InertObject.min'
    assert stand_in(torch.Tensor, '__class__') == 'Tensor.__class__'
