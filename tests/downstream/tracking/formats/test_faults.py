"""Every fault in every layout: an error of one line that names the file, or a rule that is written.

The rules stand in docs/tracking_scores.md.
"""

import zipfile

import numpy as np
import pytest

from downstream.tracking.data import TrackingData, read_sequences
from downstream.tracking.formats.layouts import LAYOUTS, TrackRecord, write_tracks
from downstream.tracking.scoring.predictions import score_tracks
from downstream.tracking.scoring.rules import GOT10K
from mim_backbones.errors import UserError

FRAMES = 12
NAMES = ('tile-1', 'tile-2', 'tile-3')
SPOILED = 'tile-2'


def replaced(line):
    """Line 5 of the file by another."""
    return lambda lines: [*lines[:4], line, *lines[5:]]


ERRORS = {
    'missing': (lambda lines: None, 'is not there'),
    'empty': (lambda lines: [], 'empty'),
    'blanks': (lambda lines: ['   ', ''], 'empty'),
    'an empty line': (replaced(''), 'line 5 is empty'),
    'too short': (lambda lines: lines[:7], '7 predicted boxes for 12 frames'),
    'NaN': (replaced('nan,nan,nan,nan'), 'NaN|not finite'),
    'infinite': (replaced('1,2,inf,4'), 'infinite|not finite'),
    'semicolons': (lambda lines: [line.replace(',', ';') for line in lines], 'line 1 has 1 values'),
    'decimal commas': (lambda lines: ['1,5 2,5 3,5 4,5'] * FRAMES, 'line 1 has 8 values'),
    'three numbers': (replaced('1,2,3'), 'line 5 has 3 values'),
    'five numbers': (replaced('1,2,3,4,0.9'), 'line 5 has 5 values'),
    'a heading': (lambda lines: ['x,y,w,h', *lines], 'not a list of boxes'),
    'words': (replaced('1,2,3,lost'), 'not a list of boxes'),
    'zero bytes': (replaced('\0,\0,\0,\0'), 'not a list of boxes'),
}


def write(target, layout, tracks, spoil):
    """Results whose file of SPOILED is what `spoil` makes of its lines; None: it is not there."""
    records = {name: TrackRecord([boxes]) for name, boxes in tracks.items()}
    write_tracks(target, records, layout)
    file = layout.box_file(SPOILED)
    if layout.zipped:
        with zipfile.ZipFile(target) as archive:
            files = {name: archive.read(name).decode() for name in archive.namelist()}
    else:
        files = {file: (target / file).read_text()}
    changed = spoil(files.pop(file).replace('\t', ',').splitlines())
    if changed is not None:
        files[file] = '\n'.join(changed)
    if layout.zipped:
        with zipfile.ZipFile(target, 'w') as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    elif changed is None:
        (target / file).unlink()
    else:
        (target / file).write_text(files[file])


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.name)
def layout(request):
    return request.param


@pytest.fixture
def target(tmp_path, layout):
    return tmp_path / ('theirs.zip' if layout.zipped else 'theirs')


@pytest.fixture(params=['lasot', GOT10K])
def world(request, lasot_root, tmp_path):
    """The same three sequences as LaSOT and as GOT-10k keep them, and true boxes a pixel off."""
    videos = read_sequences(lasot_root, 'testing_set.txt')
    tracks = {video.name: video.boxes + np.eye(4)[0] for video in videos}
    if request.param == 'lasot':
        return TrackingData(lasot_root), tracks, 'ostrack'
    root = tmp_path / 'got10k'
    for video in videos:
        folder = root / video.name
        folder.mkdir(parents=True)
        np.savetxt(folder / 'groundtruth.txt', video.boxes, '%.3f', ',')
        (folder / 'cover.label').write_text('8\n' * FRAMES)
        (folder / 'meta_info.ini').write_text('resolution: (96, 72)\n')
    (root / 'list.txt').write_text('\n'.join(NAMES))
    return TrackingData(root, test_list='list.txt', layout=GOT10K), tracks, GOT10K


@pytest.mark.parametrize('fault', ERRORS)
def test_a_fault_is_one_line_that_names_the_sequence(world, layout, target, fault):
    data, tracks, protocol = world
    spoil, message = ERRORS[fault]
    write(target, layout, tracks, spoil)
    with pytest.raises(UserError, match=message) as said:
        score_tracks(data, target, protocol)
    assert '\n' not in str(said.value)
    assert SPOILED in str(said.value)


def test_negative_sizes(world, layout, target):
    """LaSOT's evaluators refuse them; GOT-10k's clips such a box to nothing."""
    data, tracks, protocol = world
    write(target, layout, tracks, replaced('10,10,-5,5'))
    if protocol != GOT10K:
        with pytest.raises(UserError, match=f'{SPOILED}: a predicted box has negative'):
            score_tracks(data, target, protocol)
        return
    found = score_tracks(data, target, protocol)
    tracks[SPOILED][4] = 0
    assert found.metrics == pytest.approx(expected(data, layout, target, tracks, protocol))


def test_boxes_without_area(world, layout, target):
    """LaSOT's evaluators repeat the box before, and it is said; GOT-10k's counts a miss."""
    data, tracks, protocol = world
    write(target, layout, tracks, replaced('0,0,0,0'))
    found = score_tracks(data, target, protocol)
    if protocol == GOT10K:
        tracks[SPOILED][4] = [90, 70, 1, 1]  # overlaps nothing
    else:
        assert '1 boxes have no area' in found.notes[0]
        tracks[SPOILED][4] = tracks[SPOILED][3]
    assert found.metrics == pytest.approx(expected(data, layout, target, tracks, protocol))


def test_longer_tracks(world, layout, target):
    """LaSOT's evaluators cut them, and it is said; GOT-10k's tracks have one length."""
    data, tracks, protocol = world
    write(target, layout, tracks, lambda lines: [*lines, '1,2,3,4'])
    if protocol == GOT10K:
        with pytest.raises(UserError, match=f'{SPOILED}: 13 predicted boxes for 12'):
            score_tracks(data, target, protocol)
        return
    found = score_tracks(data, target, protocol)
    assert '1 of 3 tracks are longer' in found.notes[0]
    assert found.metrics == pytest.approx(expected(data, layout, target, tracks, protocol))


def test_files_of_other_sequences_are_passed_over(world, layout, target):
    data, tracks, protocol = world
    more = {**tracks, 'cube-1': np.full((2, 4), np.nan), 'notes': tracks['tile-1']}
    write(target, layout, more, lambda lines: lines)
    found = score_tracks(data, target, protocol)
    assert found.metrics == pytest.approx(expected(data, layout, target, tracks, protocol))


def expected(data, layout, target, tracks, protocol):
    """Scores of the tracks as they should have been."""
    mended = target.with_name(f'mended{target.suffix}')
    write_tracks(mended, {name: TrackRecord([b]) for name, b in tracks.items()}, layout)
    return score_tracks(data, mended, protocol).metrics


@pytest.mark.parametrize('text', ['0.1\n' * 11, '-0.1\n' * 12, 'nan\n' * 12])
@pytest.mark.parametrize('name', ['pytracking', 'got10k'])
def test_times_that_are_not_one_for_each_box(lasot_root, tmp_path, name, text):
    (layout,) = (one for one in LAYOUTS if one.name == name)
    videos = read_sequences(lasot_root, 'testing_set.txt')
    write_tracks(tmp_path / 'r', {v.name: TrackRecord([v.boxes]) for v in videos}, layout)
    (tmp_path / 'r' / layout.beside(SPOILED, 'time')).write_text(text)
    with pytest.raises(UserError, match=rf'{SPOILED}_time\.txt: 1\d times for 12 boxes'):
        score_tracks(TrackingData(lasot_root), tmp_path / 'r', 'ostrack')
