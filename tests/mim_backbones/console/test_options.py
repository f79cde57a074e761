"""What options take, refuse and complete."""

import click
import pytest
from click.testing import CliRunner

from mim_backbones.console.cli import mimbench
from mim_backbones.console.options import Words, backbone_option, parse_options
from mim_backbones.errors import UserError

ABLATE = ('ablate', 'simmim', '--axis', 'area')
MASKS = ('analyze', 'masks', 'blockwise', '--count', '75')
EVAL = ('eval', 'a.pth', '--data', 'x', '--out', 'y')
TOKENS = ('analyze', 'tokens', 'a.pth', 'b.pth', 'photos')


@pytest.mark.parametrize(
    ('words', 'option', 'value'),
    [
        (('reconstruct', 'a.pth', 'photos'), '--count', 0),
        (('reconstruct', 'a.pth', 'photos'), '--seed', -1),
        (('palette', 'photos'), '--seed', -1),
        (('palette', 'photos'), '--img-size', 0),
        (ABLATE, '--seed', -1),
        (ABLATE, '--seed', 2**32),
        (EVAL, '--seed', -1),
        (EVAL, '--seed', 2**32),
        (MASKS, '--min-block', 10**20),
        (MASKS, '--max-block', 10**20),
        (('tokenize', 'a.pth', 'photos'), '--batch-size', 0),
        (('tokenize', 'a.pth', 'photos'), '--token-size', -1),
        (TOKENS, '--count', 0),
        (TOKENS, '--seed', -1),
        (TOKENS, '--token-size', 0),
        (TOKENS, '--early-layers', 0),
        (('bench', 'step', '--config', 'simmim'), '--repeats', 0),
    ],
)
def test_numbers_out_of_range(words, option: str, value: int) -> None:
    result = CliRunner().invoke(mimbench, [*words, option, str(value)])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': {value} is not in the range" in result.output


def test_a_word_is_a_key_and_a_literal_or_text() -> None:
    pairs = ('a.b=1', 'c=text', 'd=(1, 2)', 'e=true', 'f=x=y')
    assert parse_options(pairs) == {'a.b': 1, 'c': 'text', 'd': (1, 2), 'e': True, 'f': 'x=y'}
    for wrong in ('a', '=1'):
        with pytest.raises(UserError, match=r'--cfg-options .*: expected KEY=VALUE'):
            parse_options([wrong])


def test_backbone_options_are_a_dict() -> None:
    @click.command()
    @backbone_option
    def command(backbone: dict) -> None:
        click.echo(repr(backbone))

    words = ['--backbone', 'num_heads=3', '--backbone', 'grid=14,28']
    assert CliRunner().invoke(command, words).output == "{'num_heads': 3, 'grid': (14, 28)}\n"
    assert CliRunner().invoke(command, []).output == '{}\n'
    wrong = CliRunner().invoke(command, ['--backbone', 'num_heads'])
    assert '--backbone num_heads: expected KEY=VALUE' in str(wrong.exception)


def words_command(**options: bool) -> tuple[click.Command, list[int]]:
    asked: list[int] = []

    def choices() -> list[str]:
        asked.append(1)
        return ['tracking', 'detection', 'depth']

    @click.command()
    @click.option('--task', type=Words(choices, 'task', **options))
    def command(task: object) -> None:
        click.echo(repr(task))

    return command, asked


def test_words_are_checked_by_a_list_read_when_needed() -> None:
    command, asked = words_command()
    assert CliRunner().invoke(command, ['--help']).exit_code == 0
    assert asked == []
    assert CliRunner().invoke(command, ['--task', 'depth']).output == "'depth'\n"
    wrong = CliRunner().invoke(command, ['--task', 'detektion'])
    assert wrong.exit_code == 2
    assert "no task 'detektion'; did you mean 'detection'?; known: depth," in wrong.output
    several, _ = words_command(several=True)
    assert CliRunner().invoke(several, ['--task', 'depth,tracking']).output == (
        "('depth', 'tracking')\n"
    )
    assert CliRunner().invoke(several, ['--task', 'depth,x']).exit_code == 2
    free, _ = words_command(strict=False)
    assert CliRunner().invoke(free, ['--task', 'x']).output == "'x'\n"


@pytest.mark.parametrize(
    ('several', 'begun', 'completed'),
    [
        (False, 'de', ['depth', 'detection']),
        (True, 'tracking,de', ['tracking,depth', 'tracking,detection']),
        (True, '', ['depth', 'detection', 'tracking']),
    ],
)
def test_words_are_completed(several: bool, begun: str, completed: list[str]) -> None:
    command, _ = words_command(several=several)
    (option,) = command.params
    items = option.type.shell_complete(click.Context(command), option, begun)
    assert [item.value for item in items] == completed


def test_a_list_that_cannot_be_read_completes_nothing() -> None:
    def broken() -> list[str]:
        raise UserError('no recipes')

    command = click.Command('x', params=[click.Option(['--r'], type=Words(broken))])
    assert (
        command.params[0].type.shell_complete(click.Context(command), command.params[0], '') == []
    )


@pytest.mark.parametrize('word', ['', ',', ',,'])
def test_an_option_without_a_word_is_refused(word) -> None:
    """An empty variable of a script is no wish for everything."""

    @click.command()
    @click.option('--tasks', type=Words(lambda: ['a'], 'task', several=True))
    def command(tasks):
        raise AssertionError

    result = CliRunner().invoke(command, ['--tasks', word])
    assert result.exit_code == 2
    assert 'names no task' in result.output
