"""`mimbench track-set` as it is typed."""

import json

import pytest
import torch
from click.testing import CliRunner

from downstream.commands.track_set import track_set
from downstream.registry import MODELS
from downstream.tracking.formats.layouts import read_tracks
from mim_backbones.errors import UserError
from tests.downstream.tracking.conftest import SMALL, write_lasot, write_sequences


@pytest.fixture
def words(tmp_path):
    """Weights, config and data; a list of two sequences that are in no split."""
    world = tmp_path / 'world'
    world.mkdir()
    write_lasot(world, train=1, test=2)
    write_sequences(world, ['dice-1', 'dice-2'], frames=40)
    (world / 'held_out.txt').write_text('dice-1\ndice-2\n')
    (world / 'data.yaml').write_text('tracking: {root: .}\n')
    model = MODELS.build(SMALL)
    # A box that stays, so that the target is in it at first: from the best cell to the middle.
    row, column = divmod(int(model.hann.argmax()), 8)
    for tower in (model.head.score, model.head.size, model.head.offset):
        torch.nn.init.zeros_(tower[-1].weight)
    model.head.offset[-1].bias.data = torch.tensor([4.0 - column, 4.0 - row])
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'iter_1.pth')
    (tmp_path / 'config.py').write_text(f'model = {SMALL!r}\n')
    given = ('--weights', tmp_path / 'iter_1.pth', '--config', tmp_path / 'config.py')
    return (*given, '--data', world, '--out', tmp_path / 'tracks')


def call(*words):
    return CliRunner().invoke(track_set, [str(word) for word in words], catch_exceptions=False)


def test_tracks_scores_copies_and_calibration(words, tmp_path):
    archive = tmp_path / 'out.zip'
    more = ('--list', 'held_out.txt', '--calibrate', '--as', f'got10k-server={archive}')
    said = call(*words, *more, '--json')
    found = json.loads(said.stdout)
    assert said.exit_code == 0 and set(found['metrics']) == {'AUC', 'P', 'P_norm'}
    assert len(found['confidence']) == 2 and found['confidence'][0] > 0
    assert found['tables']['presence']['box on it']['recall'] > 0
    tracks = read_tracks(tmp_path / 'tracks', ['dice-1', 'dice-2'])
    copied = read_tracks(archive, ['dice-1', 'dice-2'])
    for name, track in tracks.items():
        assert copied[name].boxes[0].tolist() == track.boxes[0].tolist()
        assert len(copied[name].times[0]) == len(track.boxes[0]) == 40
    printed = call(*words, *more[:3])  # nothing is tracked again
    assert '--cfg-options model.confidence=[' in printed.output
    with pytest.raises(UserError, match=r'tracks of another run \(config\)'):
        call(*words, *more[:2], '--cfg-options', 'model.margin=5')


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--calibrate'], '--calibrate needs --list'),
        (['--calibrate', '--list', 'testing_set.txt'], '2 test sequences are in the training list'),
        (['--list', 'training_set.txt'], '1 test sequences are in the training list'),
        (['--list', 'none.txt'], r'none\.txt: cannot be read'),
        (['--as', 'tracks.zip'], 'expected FORMAT=PATH'),
        (['--as', 'vot=tracks.zip'], 'no format of tracking results'),
        (['--as', 'trackingnet=folder'], r'name it FILE\.zip'),
    ],
)
def test_what_it_refuses_before_it_tracks(words, tmp_path, more, message):
    with pytest.raises(UserError, match=message) as refused:
        call(*words, *more)
    assert '\n' not in str(refused.value)
    assert not any((tmp_path / 'tracks').glob('*.txt'))


def test_weights_that_are_not_there(words):
    with pytest.raises(UserError, match=r'other\.pth: no such file'):
        call('--weights', 'other.pth', *words[2:])
