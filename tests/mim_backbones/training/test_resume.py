import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.logging import HistoryBuffer

from mim_backbones.checkpoints.safe.inert import InertObject
from mim_backbones.checkpoints.safe.weights_file import read_weights_file
from mim_backbones.training import resume  # noqa: F401  registers it
from mim_backbones.training.resume import allow_own_checkpoints, history_statistic


@pytest.fixture
def checkpoint(tmp_path):
    """What mmengine stores beside tensors: a log buffer."""
    path = tmp_path / 'epoch_1.pth'
    torch.save({'state_dict': {'w': torch.ones(2)}, 'log': HistoryBuffer([1.0], [1])}, path)
    return path


def test_resuming_gets_the_buffer_reading_weights_its_stand_in(checkpoint) -> None:
    before = torch.serialization.get_safe_globals()
    try:
        allow_own_checkpoints()
        for _ in range(2):
            log = torch.load(checkpoint, weights_only=True)['log']
            assert isinstance(log, HistoryBuffer)
            assert log.current() == 1.0
            assert isinstance(read_weights_file(checkpoint)['log'], InertObject)
        assert HistoryBuffer([2.0], [1]).current() == 2.0
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def test_nothing_is_looked_up_on_other_objects() -> None:
    with pytest.raises(ValueError, match='__class__'):
        history_statistic(torch.Tensor, '__class__')
    with pytest.raises(ValueError, match='__init__'):
        history_statistic(HistoryBuffer, '__init__')


def test_checkpoint_hooks_reach_it_by_name(tmp_path) -> None:
    backend = get_file_backend(backend_args={'backend': 'atomic_local'})
    backend.put(b'12', tmp_path / 'a')
    backend.put_text('a', str(tmp_path / 'b'))
    assert (tmp_path / 'a').read_bytes() == b'12'
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a', 'b']
