import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from downstream.commands.export_tracker import tracker as export_tracker
from mim_backbones.errors import UserError
from tests.downstream.commands.test_track import BOX, call, frames, trained

__all__ = ['frames', 'trained']  # fixtures


def export(*words):
    words = [str(word) for word in words]
    return CliRunner().invoke(export_tracker, words, catch_exceptions=False)


def test_a_video_is_tracked_with_the_folder(frames, trained, tmp_path):
    weights, config = trained
    given = (weights, '--config', config, '--to', 'torchscript', '--out', tmp_path / 'tracker')
    told = json.loads(export(*given, '--json').output)
    assert told['files'] == ['search.pt', 'template.pt', 'tracker.json']
    assert told['largest_difference'] < 1e-5
    manifest = json.loads((tmp_path / 'tracker' / 'tracker.json').read_text())
    assert (manifest['settings']['search_size'], manifest['settings']['margin']) == (64, 10)
    assert manifest['weights']['file'] == 'iter_1.pth' and len(manifest['weights']['sha256']) == 64
    tracks = [
        json.loads(call(frames, '--box', BOX, '--weights', *which, '--json').output)['boxes']
        for which in ((weights, '--config', config), (tmp_path / 'tracker',))
    ]
    np.testing.assert_allclose(*tracks, atol=1e-3)
    assert 'largest difference from eager torch' in export(*given).output


def test_what_it_refuses(trained, frames, tmp_path):
    weights, config = trained
    given = (weights, '--config', config, '--out', tmp_path / 'tracker')
    with pytest.raises(UserError, match='--calibrate LASOT go together'):
        export(*given, '--to', 'onnx', '--precision', 'int8')
    with pytest.raises(UserError, match='--calibrate LASOT go together'):
        export(*given, '--to', 'onnx', '--calibrate', tmp_path)
    with pytest.raises(UserError, match='no precision bf16; it has fp32, int8'):
        export(*given, '--to', 'onnx', '--precision', 'bf16')
    with pytest.raises(UserError, match='no such folder'):
        export(*given, '--to', 'onnx', '--precision', 'int8', '--calibrate', tmp_path / 'none')
    assert export(*given, '--to', 'tensorrt').exit_code == 2
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match=r'no tracker\.json'):
        call(frames, '--box', BOX, '--weights', tmp_path / 'empty')
    with pytest.raises(UserError, match='leave out --config'):
        call(frames, '--box', BOX, '--weights', tmp_path / 'empty', '--config', config)


def test_weights_that_are_broken_are_not_exported(trained, tmp_path):
    weights, config = trained
    content = torch.load(weights)
    content['state_dict']['head.score.4.bias'].fill_(float('nan'))
    torch.save(content, weights)
    with pytest.raises(UserError, match='differs from eager torch by nan'):
        export(weights, '--config', config, '--to', 'torchscript', '--out', tmp_path / 'tracker')
