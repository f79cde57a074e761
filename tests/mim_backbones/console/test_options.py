"""Numbers that no command can use end in a usage message: exit code 2, and nothing has begun."""

import pytest
from click.testing import CliRunner

from mim_backbones.console.cli import mimbench

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
        (('convert', 'a.pth', 'b.pth', '--to', 'timm'), '--num-heads', 0),
        (('bench', 'step', '--config', 'simmim'), '--repeats', 0),
    ],
)
def test_numbers_out_of_range(words, option: str, value: int) -> None:
    result = CliRunner().invoke(mimbench, [*words, option, str(value)])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': {value} is not in the range" in result.output
