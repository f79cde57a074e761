import resource
import subprocess
import sys
from functools import cache

import click
import pytest

from mim_backbones.console import cli
from mim_backbones.console.plugins import OURS, load_plugin, plugins
from mim_backbones.errors import UserError

SECONDS = 0.5  # of processor time, start of Python included


def our_commands() -> list[tuple[str, ...]]:
    """Every command of ours, with those of the groups among them."""
    found: list[tuple[str, ...]] = []
    for name, point in plugins(cli.GROUP).items():
        if point.dist is None or point.dist.name != OURS:
            continue  # what another package brings is its own business
        found.append((name,))
        command = load_plugin(point)
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(None)]
    return found


@pytest.mark.parametrize('words', our_commands(), ids=' '.join)
def test_every_command_is_listed_and_explains_itself_quickly(words: tuple[str, ...]) -> None:
    assert f'\n  {words[-1]} ' in listing(*words[:-1])
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = run(*words, '--help').stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if spent[-1] < SECONDS:
            break
    assert min(spent) < SECONDS
    assert 'mimbench' in text.partition('Options:')[0]
    if len(words) == 1:
        assert 'Examples:' in text or 'Commands:' in text


@pytest.mark.parametrize(
    ('words', 'meant'),
    [(('evall',), 'eval'), (('bench', 'stp'), 'step'), (('analyze', 'token'), 'tokens')],
)
def test_a_mistyped_command_is_answered_with_the_nearest(words, meant: str) -> None:
    result = run(*words, check=False)
    assert result.returncode == 2
    assert f"No such command '{words[-1]}'; did you mean '{meant}'?" in result.stderr


def test_a_users_mistake_is_one_line_and_exit_code_2(monkeypatch, capsys) -> None:
    def fail(**_: object) -> None:
        raise UserError('the folder x is not there; make it')

    monkeypatch.setattr(cli, 'mimbench', fail)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == 'mimbench: error: the folder x is not there; make it\n'


def test_a_missing_stack_is_one_line(monkeypatch, capsys) -> None:
    def fail(**_: object) -> None:
        import mmengine_not_there  # noqa: F401

    monkeypatch.setattr(cli, 'mimbench', fail)
    with pytest.raises(ModuleNotFoundError):  # a module that is not of the stack is a bug
        cli.main()
    monkeypatch.setattr(cli, 'STACK', ('mmengine_not_there',))
    with pytest.raises(SystemExit):
        cli.main()
    assert "mmengine_not_there is not installed; pip install 'mimbench[onedl]'" in (
        capsys.readouterr().err
    )


@cache
def listing(*group: str) -> str:
    return run(*group, '--help').stdout


def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'mim_backbones.console.cli', *arguments],
        capture_output=True, text=True, check=check,
    )  # fmt: skip
