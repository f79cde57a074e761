import subprocess
import sys

from mim_backbones.console import cli
from mim_backbones.errors import UserError


def test_every_command_is_listed_and_explains_itself() -> None:
    listing = run('--help').stdout
    for name in cli.EntryPointGroup().list_commands(None):
        assert f'\n  {name} ' in listing
        text = run(name, '--help').stdout
        assert 'Examples:' in text or 'Commands:' in text, name


def test_a_users_mistake_is_one_line_and_exit_code_2(monkeypatch, capsys) -> None:
    def fail() -> None:
        raise UserError('the folder x is not there; make it')

    monkeypatch.setattr(cli, 'mimbench', fail)
    try:
        cli.main()
    except SystemExit as stop:
        assert stop.code == 2
    assert capsys.readouterr().err == 'mimbench: error: the folder x is not there; make it\n'


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'mim_backbones.console.cli', *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
