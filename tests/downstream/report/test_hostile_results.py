"""Results of somebody else: nothing in them runs, and nothing outside their folder is read."""

import json
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from downstream.report.content import gather
from downstream.report.draw.pictures import read_picture
from downstream.report.formats.markdown import render_markdown
from downstream.report.formats.table_csv import render_csv, render_robustness_csv
from downstream.report.formats.write import render_page
from downstream.results.result import Checkpoint, Protocol, read_result, write_result
from downstream.results.units import read_arrays
from mim_backbones.errors import UserError

MARKUP = '<script>x</script>](javascript:x) {{7*7}} ![a](http://b/c) $\\frac{ [bold]| `x` *x*'


def test_markup_in_every_text_is_shown_and_nothing_else(made_up, scored, picture, tmp_path):
    for name in (MARKUP, 'random init'):
        result, units = made_up(name, 'segmentation')
        run = {key: MARKUP if isinstance(v, str) else v for key, v in result.run.items()}
        result = replace(
            result,
            architecture=MARKUP,
            method=MARKUP,
            protocol=Protocol(MARKUP, MARKUP, 'segmentation', 'smoke', MARKUP, MARKUP),
            data={**result.data, 'name': MARKUP, 'root': MARKUP},
            versions={MARKUP: MARKUP},
            changes={MARKUP: MARKUP},
            run={**run, 'date': result.run['date']},
            checkpoint=Checkpoint(MARKUP, MARKUP) if name == MARKUP else None,
        )
        pictures = {f'{"a" * 9}.png': picture('sample')}
        write_result(tmp_path, result, units, pictures, scored(name, 'segmentation'))
    report = gather(tmp_path, MARKUP, splits=20)
    page = render_page(report)
    assert '<script' not in page and '&lt;script' in page
    assert 'javascript:x"' not in page and '49' not in page.split('base64')[0]
    text, _ = render_markdown(report)
    assert '<script' not in text and '](javascript' not in text and '](http' not in text
    columns = [line.count(' | ') for line in text.splitlines() if line.startswith('| ')]
    assert len(set(columns[:3])) == 1  # the headline table keeps its shape
    assert 'Under corruption' in page and 'Under corruption' in text
    for found in (render_csv(report), *render_robustness_csv(report).values()):
        assert MARKUP in found.replace('""', '"')


@pytest.fixture
def stored(made_up, picture, tmp_path):
    (tmp_path / 'results').mkdir()
    result, units = made_up('mae', 'segmentation')
    return write_result(tmp_path / 'results', result, units, {'a.png': picture('sample')})


@pytest.mark.parametrize('key', ['pictures', 'units'])
@pytest.mark.parametrize('name', ['../secret', '/etc/hostname', '..', '.', 'a/../../secret', 7])
def test_names_that_lead_elsewhere_are_refused(stored, tmp_path, key, name):
    (tmp_path / 'secret').write_text('secret')
    content = json.loads(stored.read_text())
    content[key] = [name] if key == 'pictures' else name
    stored.write_text(json.dumps(content))
    with pytest.raises(UserError, match=str(stored)):
        read_result(stored)


@pytest.mark.parametrize('key', ['pictures', 'units'])
def test_a_link_that_leads_elsewhere_is_refused(stored, tmp_path, key):
    content = json.loads(stored.read_text())
    name = content['units'] if key == 'units' else content['pictures'][0]
    kept = (stored.parent / name).rename(tmp_path / 'elsewhere')
    (stored.parent / name).symlink_to(kept)
    with pytest.raises(UserError, match='is a link to another place'):
        read_result(stored)


def test_a_folder_of_links_to_whole_results_is_read(stored, tmp_path):
    links = tmp_path / 'links'
    links.mkdir()
    for path in stored.parent.iterdir():
        (links / path.name).symlink_to(path)
    assert read_result(links / stored.name).result == read_result(stored).result


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'name': 'a\x1b[2J'}, 'control characters'),
        ({'data': {'name': ['x'], 'fingerprint': 'y'}}, 'name is not'),
        ({'metrics': {'mIoU': 10**400}}, 'mIoU'),
        ({'primary': ['mIoU']}, 'not a result'),
        ({'pictures': 5}, 'not a result'),
    ],
)
def test_odd_values_are_one_line(stored, changes, message):
    stored.write_text(json.dumps({**json.loads(stored.read_text()), **changes}))
    with pytest.raises(UserError, match=message) as error:
        read_result(stored)
    assert '\n' not in str(error.value)


def test_json_that_is_endless_or_too_deep_is_refused(stored):
    stored.write_text('[' * 10**6)
    with pytest.raises(UserError, match='not JSON'):
        read_result(stored)
    with stored.open('wb') as file:
        file.truncate(2**35)
    with pytest.raises(UserError, match='larger than any result'):
        read_result(stored)


def header(shape):
    return (
        np.lib.format.magic(1, 0)
        + (118).to_bytes(2, 'little')
        + f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode()
        + b'\n'
    )


def test_units_that_unpack_to_anything_are_refused(tmp_path):
    path = tmp_path / 'a.npz'
    with (
        zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive,
        archive.open('names.npy', 'w', force_zip64=True) as file,
    ):
        for _ in range(130):
            file.write(bytes(2**23))
    assert path.stat().st_size < 2**21
    with pytest.raises(UserError, match='unpacks to'):
        read_arrays(path)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('names.npy', header((2**50,)) + bytes(64))
    with pytest.raises(UserError, match='not a units file'):
        read_arrays(path)
    np.savez(path, kind=np.array('x'), names=np.array([{'a': 1}], dtype=object))
    with pytest.raises(UserError, match='not a units file'):
        read_arrays(path)


def test_a_picture_is_a_picture(tmp_path):
    """PostScript and other formats whose readers start programs are none."""
    path = tmp_path / 'a.png'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n')
    with pytest.raises(UserError, match='not a picture'):
        read_picture(path, 'x')
    Image.new('L', (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack('>II', 60_000, 60_000)  # a head that claims more
    content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
    path.write_bytes(content)
    with pytest.raises(UserError, match='not a picture'):
        read_picture(path, 'x')


def test_the_whole_command_within_its_bounds(stored, tmp_path):
    """Results of which each breaks in its own way: one line, little time and memory."""
    folder = tmp_path / 'many'
    for damage in ('units', 'picture', 'json'):
        shutil.copytree(stored.parent, folder / damage)
        content = json.loads(stored.read_text())
        target = {
            'units': folder / damage / content['units'],
            'picture': folder / damage / content['pictures'][0],
            'json': folder / damage / stored.name,
        }[damage]
        target.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(100))
    code = (
        'import resource, sys\n'
        'resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n'
        'from mim_backbones.console.cli import main\n'
        'main()'
    )
    for place in sorted(folder.iterdir()):
        words = ['report', str(place), '--out', str(tmp_path / 'out')]
        done = subprocess.run(
            [sys.executable, '-c', code, *words],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith('mimbench: error: ') and done.stderr.count('\n') == 1
