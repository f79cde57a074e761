"""Option types of click commands; `--cfg-options a.b=1 c.d=text` as OpenMMLab's tools take it."""

import ast
import re
from collections.abc import Callable
from typing import Any

import click

from mim_backbones.errors import UserError

OPTION_PAIR = re.compile(r'\w+(\.\w+)+=')  # with a dot: NAME=FILE is another argument

# Half of what NumPy's global state takes: workers add their number.
SEED = click.IntRange(0, 2**31 - 1)


class ListCommand(click.Command):
    """Lets options take several words, as argparse does.

    `belongs`: which words may follow an option's first one. A subclass adds its own options.
    """

    belongs: dict[str, Callable[[str], bool]] = {
        '--cfg-options': lambda word: bool(OPTION_PAIR.match(word))
    }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        out: list[str] = []
        option = None
        for word in args:
            if option and out[-1] != option and self.belongs[option](word):
                out += [option, word]
                continue
            out.append(word)
            if word.startswith('-'):
                option = word if word in self.belongs else None
            elif len(out) < 2 or out[-2] != option:
                option = None
        return super().parse_args(ctx, out)


def parse_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """('a.b=1', 'c.d=text') -> {'a.b': 1, 'c.d': 'text'}.

    Raises:
        UserError: a word without '='.
    """
    options = {}
    for pair in pairs:
        key, separator, text = pair.partition('=')
        if not separator:
            raise UserError(f'--cfg-options {pair}: expected KEY=VALUE')
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = {'true': True, 'false': False}.get(text, text)
    return options
