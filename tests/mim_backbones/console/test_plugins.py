"""A package of somebody else's: its commands, and what its mistakes may break (itself)."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mim_backbones.console.cli import EntryPointGroup

GOOD = """
import click
@click.command()
def hello():
    \"\"\"Say hello.\"\"\"
    click.echo('hello from acme')
number = 3
"""


def install(
    folder: Path, points: Mapping[str, Mapping[str, str]], modules: Mapping[str, str]
) -> None:
    """points: group -> name -> 'module:object'; modules: name -> source text."""
    info = folder / 'acme_plugins-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme-plugins\nVersion: 1.0\n')
    text = ''
    for group, names in points.items():
        text += f'[{group}]\n' + ''.join(f'{name} = {what}\n' for name, what in names.items())
    (info / 'entry_points.txt').write_text(text)
    for name, source in modules.items():
        (folder / f'{name}.py').write_text(source)


def mimbench(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process that finds the package of `folder`."""
    return subprocess.run(
        [sys.executable, '-m', 'mim_backbones.console.cli', *words],
        capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': str(folder), **environment},
    )  # fmt: skip


@pytest.fixture
def site(tmp_path):
    commands = {
        'hello': 'acme_good:hello', 'doctor': 'acme_good:hello', 'broken': 'acme_missing:hello',
        'raises': 'acme_raises:hello', 'number': 'acme_good:number',
    }  # fmt: skip
    install(
        tmp_path,
        {'mimbench.commands': commands, 'mimbench.tasks': {'depth': 'acme_missing:TASK'}},
        {'acme_good': GOOD, 'acme_raises': 'raise ValueError("two\\nlines")'},
    )
    return tmp_path


def test_help_lists_what_is_broken_and_names_what_is_left_out(site) -> None:
    result = mimbench(site, '--help')
    assert result.returncode == 0
    text = ' '.join(result.stdout.split())
    assert 'hello Say hello' in text
    assert "broken unavailable: plugin 'broken' (mimbench.commands, acme-plugins 1.0)" in text
    assert "No module named 'acme_missing'" in text
    assert 'raises unavailable' in text
    assert 'number unavailable' in text
    assert 'doctor Versions, owners' in text
    (warning,) = result.stderr.splitlines()
    assert warning.startswith("mimbench: warning: plugin 'doctor' (mimbench.commands, acme-plugins")
    assert 'is left out' in warning


@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('broken', "ModuleNotFoundError: No module named 'acme_missing'"),
        ('raises', 'ValueError: two lines'),
        ('number', 'acme_good:number is a int, not a Command'),
    ],
)
@pytest.mark.parametrize('words', [(), ('--help',), ('a.pth', '--json')])
def test_a_broken_command_says_so_in_one_line(site, name: str, why: str, words) -> None:
    result = mimbench(site, name, *words)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f'mimbench: error: plugin {name!r} (mimbench.commands, acme-plugins 1.0)'
    )
    assert why in line
    assert line.endswith('mend or uninstall acme-plugins 1.0')


def test_other_commands_do_not_hear_of_it(site) -> None:
    for words in (('hello',), ('convert', '--help'), ('--version',)):
        result = mimbench(site, *words)
        assert (result.returncode, result.stderr) == (0, '')
    assert mimbench(site, 'hello').stdout == 'hello from acme\n'


def test_our_command_is_not_replaced(site) -> None:
    result = mimbench(site, 'doctor', '--help')
    assert 'Versions, owners' in result.stdout
    assert 'is left out' in result.stderr


def test_doctor_lists_them_all(site) -> None:
    """What it prints, without the seconds that the rest of its findings take."""
    code = (
        'import json; from mim_backbones.console.environment import plugins_found;'
        'print(json.dumps(plugins_found()))'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True,
        env={**os.environ, 'PYTHONPATH': str(site)},
    )  # fmt: skip
    found, problems = json.loads(result.stdout)
    assert found['mimbench.tasks'][:2] == ['classification', 'depth (acme-plugins 1.0)']
    assert {'hello (acme-plugins 1.0)', 'convert'} <= set(found['mimbench.commands'])
    for name in ('broken', 'raises', 'depth'):
        assert (
            sum(f'plugin {name!r}' in line and 'cannot be loaded' in line for line in problems) == 1
        )
    assert any("plugin 'doctor'" in line and 'is left out' in line for line in problems)


def test_completion_knows_their_commands_and_survives_the_broken(site) -> None:
    words = dict(_MIMBENCH_COMPLETE='bash_complete', COMP_CWORD='1')
    assert mimbench(site, COMP_WORDS='mimbench he', **words).stdout == 'plain,hello\n'
    words['COMP_CWORD'] = '2'
    result = mimbench(site, COMP_WORDS='mimbench broken --h', **words)
    assert 'Traceback' not in result.stderr


def test_ours_are_all_available() -> None:
    group = EntryPointGroup()
    assert {'doctor', 'eval', 'train', 'convert'} <= set(group.list_commands(None))
