"""Option types of click commands. An option takes one word, and is given again for the next.

OpenMMLab's `--cfg-options a.b=1 c.d=text` is `--cfg-options a.b=1 --cfg-options c.d=text` here.
"""

import ast
import difflib
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from mim_backbones.errors import UserError

# Half of what NumPy's global state takes: workers add their number.
SEED = click.IntRange(0, 2**31 - 1)

cfg_options = click.option(
    '--cfg-options', multiple=True, metavar='KEY=VALUE',
    help='Override of the recipe, as model.backbone.img_size=192; repeatable.',
)  # fmt: skip


def parse_options(pairs: Iterable[str], option: str = '--cfg-options') -> dict[str, Any]:
    """('a.b=1', 'c.d=text') -> {'a.b': 1, 'c.d': 'text'}.

    Raises:
        UserError: a word without '='.
    """
    options = {}
    for pair in pairs:
        key, separator, text = pair.partition('=')
        if not separator or not key:
            raise UserError(f'{option} {pair}: expected KEY=VALUE')
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = {'true': True, 'false': False}.get(text, text)
    return options


def _backbone_options(
    ctx: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, Any]:
    return parse_options(pairs, '--backbone')


# Gives a command the argument `backbone`, a dict: what `from_checkpoint` takes beside the source.
backbone_option = click.option(
    '--backbone', multiple=True, metavar='KEY=VALUE', callback=_backbone_options,
    help='What the checkpoint does not show, or another value, as num_heads=3; repeatable.',
)  # fmt: skip


class Words(click.ParamType):
    """Words of a list that is read when it is needed: completed, and refused when unknown.

    Args:
        choices: gives the known words, and may take its time; --help does not ask.
        name: what a word stands for ('task'), for messages.
        several: whether an option's word is a list by commas; the value then is a tuple.
        strict: whether an unknown word is a usage error.
    """

    def __init__(
        self,
        choices: Callable[[], Iterable[str]],
        name: str = 'word',
        several: bool = False,
        strict: bool = True,
    ) -> None:
        self.choices = choices
        self.name = name
        self.several = several
        self.strict = strict

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | tuple[str, ...]:
        if not isinstance(value, str):
            return value
        words = tuple(word for word in value.split(',') if word) if self.several else (value,)
        if not any(words):
            self.fail(f'names no {self.name}', param, ctx)
        known = sorted(self.choices()) if self.strict else []
        for word in words:
            if self.strict and word not in known:
                self.fail(f'no {self.name} {word!r}{nearest(word, known)}; known: '
                          f'{", ".join(known) or "none"}', param, ctx)  # fmt: skip
        return words if self.several else value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(',') if self.several else ('', '', incomplete)
        try:
            known = sorted(self.choices())
        except UserError:  # a shell shows no message here: without the list nothing is completed
            return []
        return [CompletionItem(before + comma + word) for word in known if word.startswith(last)]


def warn(line: str) -> None:
    """A line on stderr, for what a command goes on without."""
    click.echo(f'mimbench: warning: {line}', err=True)


def warn_skipped(pictures: Iterable[str]) -> None:
    """A line for each picture that a command goes on without."""
    for name in pictures:
        warn(f'skipped {name}: it cannot be decoded')


def nearest(word: str, known: Iterable[str]) -> str:
    """'; did you mean 'eval'?' for a word that is nearly a known one, else nothing."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f'; did you mean {near[0]!r}?' if near else ''
