import json
import re

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from downstream.commands.track import track
from downstream.tracking.load import load_tracker
from downstream.tracking.model import OneStreamTracker
from downstream.tracking.tracker import Tracker
from mim_backbones.errors import UserError

TINY = {
    'type': 'downstream.OneStreamTracker',
    'backbone': {
        'type': 'mim_backbones.MIMViT',
        'arch': {'embed_dim': 24, 'depth': 4, 'num_heads': 12},
        'img_size': 64,
        'patch_size': 8,
        'pos_embed': 'none',
        'cls_token': False,
    },
    'head': {'channels': 8},
    'template_size': 32,
    'search_size': 64,
}
BOX = '20,16,14,12'


@pytest.fixture
def frames(tmp_path):
    """A folder of 11 images, the tenth and eleventh of which sort before the second as text."""
    folder = tmp_path / 'frames'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 12):
        picture = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), picture)
    return folder


@pytest.fixture
def trained(tmp_path):
    """Weights and config of a tracker that training left."""
    torch.manual_seed(0)
    options = {name: value for name, value in TINY.items() if name != 'type'}
    model = OneStreamTracker(**options)
    torch.save({'meta': {}, 'state_dict': model.state_dict()}, tmp_path / 'iter_1.pth')
    (tmp_path / 'config.py').write_text(f'model = {TINY!r}\n')
    return tmp_path / 'iter_1.pth', tmp_path / 'config.py'


def call(*words):
    return CliRunner().invoke(track, [str(word) for word in words], catch_exceptions=False)


def test_a_folder_is_tracked_and_drawn(frames, trained, tmp_path):
    weights, config = trained
    out, boxes = tmp_path / 'out.mp4', tmp_path / 'boxes.txt'
    told = call(
        frames, '--box', BOX, '--weights', weights, '--config', config, '--out', out,
        '--boxes', boxes, '--json',
    )  # fmt: skip
    found = json.loads(told.output)
    tracker = Tracker(load_tracker(weights, config))
    images = [cv2.imread(str(frames / f'{i}.png'))[..., ::-1] for i in range(1, 12)]
    tracker.init(images[0], np.array([20.0, 16, 14, 12]))
    expected = [[20, 16, 14, 12], *(tracker.update(image)[0].tolist() for image in images[1:])]
    np.testing.assert_allclose(found['boxes'], expected)
    np.testing.assert_allclose(np.loadtxt(boxes, delimiter=','), expected, atol=1e-3)
    video = cv2.VideoCapture(str(out))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == found['frames'] == 11

    again = call(out, '--box', BOX, '--weights', weights, '--config', config)
    assert again.output.startswith('11 frames')


def test_a_released_tracker_needs_no_config(frames, trained, tmp_path):
    """Ours under the published names is the same tracker: elimination in block 3 included."""
    weights, config = trained
    state = {}
    for name, value in torch.load(weights)['state_dict'].items():
        name = name.replace('template_pos', 'backbone.pos_embed_z')
        name = name.replace('search_pos', 'backbone.pos_embed_x')
        if tower := re.fullmatch(r'head\.(\w+)\.(\d)\.(.+)', name):
            kind, number, rest = tower.groups()
            kind = {'score': 'ctr'}.get(kind, kind)
            name = f'box_head.conv{int(number) + 1}_{kind}.{rest}'
        state[name] = value
    state['backbone.pos_embed'] = torch.zeros(1, 65, 24)
    torch.save({'net': state, 'epoch': 300}, tmp_path / 'released.pth.tar')
    released = load_tracker(tmp_path / 'released.pth.tar')
    ours = load_tracker(weights, config, {'model.elimination': dict(blocks=[3], keep=0.7)})
    inputs = {'template': torch.rand(1, 3, 32, 32), 'search': torch.rand(1, 3, 64, 64)}
    for theirs, mine in zip(released(inputs), ours(inputs)):
        torch.testing.assert_close(theirs, mine)
    assert call(frames, '--box', BOX, '--weights', tmp_path / 'released.pth.tar').exit_code == 0


@pytest.mark.parametrize('box', ['1,2,3', '1,2,3,x', '1,2,0,4'])
def test_a_box_is_four_numbers_with_an_area(frames, trained, box):
    with pytest.raises(UserError, match='--box'):
        call(frames, '--box', box, '--weights', trained[0], '--config', trained[1])


def test_what_it_refuses(frames, trained, tmp_path):
    weights, config = trained
    given = ('--box', BOX, '--weights', weights)
    with pytest.raises(UserError, match='no tracker of OSTrack'):
        call(frames, *given)
    other = ('--cfg-options', 'model.head.channels=16')
    with pytest.raises(UserError, match='give the config it was trained by'):
        call(frames, *given, '--config', config, *other)
    with pytest.raises(UserError, match='no video that OpenCV reads'):
        call(config, *given, '--config', config)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no images in it'):
        call(tmp_path / 'empty', *given, '--config', config)
    cv2.imwrite(str(frames / '12.png'), np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(UserError, match='one size'):
        call(frames, *given, '--config', config, '--out', tmp_path / 'out.mp4')
