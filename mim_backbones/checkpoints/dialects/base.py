"""What a dialect is: how one source names the weights of a backbone, and what that implies."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from mim_backbones.backbones.layers.pos_embed import BICUBIC, Resize
from mim_backbones.checkpoints.choose import Model

State = dict[str, Tensor]


@dataclass(frozen=True)
class Ignored:
    """A key left out on purpose, and why."""

    reason: str


Rule = tuple[str, str | Ignored]  # pattern of the whole key, our name (a match template)


def no_change(state: State, model: Model) -> State:
    return state


def no_options(model: Model) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Dialect:
    """One source's names.

    Attributes:
        name: for reports.
        source: repository the names come from.
        family: 'vit', 'swin' or 'hiera'.
        recognise: whether a model's keys and shapes are in this dialect.
        rules: tried in order on every key; a key no rule matches is unexpected.
        adapt: changes tensors, after renaming (channel orders, shapes of tokens).
        resize: how this source's own code takes absolute positions to another grid.
        options: constructor arguments that shapes do not show (norm eps, act). `num_heads` is taken
            where nothing shows another, `heads` is what buffers of the file show.
        head_width: channels of a head in this source's small ViTs, where it is always the same.
    """

    name: str
    source: str
    family: str
    recognise: Callable[[Model], bool]
    rules: tuple[Rule, ...]
    adapt: Callable[[State, Model], State] = no_change
    resize: Resize = BICUBIC
    options: Callable[[Model], dict[str, Any]] = no_options
    head_width: int | None = None

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], str | Ignored], ...]:
        return tuple((re.compile(pattern), target) for pattern, target in self.rules)

    def rename(self, key: str) -> str | Ignored | None:
        """Our name, the reason to leave the key out, or None for a key nobody knows."""
        for pattern, target in self._patterns:
            match = pattern.fullmatch(key)
            if match:
                return target if isinstance(target, Ignored) else match.expand(target)
        return None

    def translate(self, model: Model) -> 'Translated':
        """The model's tensors under our names, and what became of the other keys."""
        result = Translated(dialect=self)
        renamed: State = {}
        for key, value in model.state.items():
            name = self.rename(key)
            if name is None:
                result.unexpected.append(key)
            elif isinstance(name, Ignored):
                result.ignore(name.reason, key)
            else:
                renamed[name] = value
        for key in model.outside:
            result.ignore(outside_reason(key), key)
        for key in model.others:
            result.ignore('another model of the file', key)
        result.state = self.adapt(renamed, model)
        return result


@dataclass
class Translated:
    """A model in our key names.

    Attributes:
        state: tensors under our names, shapes as in the file.
        ignored: reason -> keys of the file.
        unexpected: keys of the file that no rule knows.
    """

    dialect: Dialect
    state: State = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)

    def without(self, parts: Collection[str]) -> 'Translated':
        """Itself, with the unexpected keys that have one of these parts in their names ignored."""
        left = [key for key in self.unexpected if not set(parts).isdisjoint(key.split('.'))]
        ignored = {**self.ignored, **({'left out as asked': left} if left else {})}
        kept = [key for key in self.unexpected if key not in left]
        return replace(self, ignored=ignored, unexpected=kept)

    def ignore(self, reason: str, key: str) -> None:
        self.ignored.setdefault(reason, []).append(key)


def outside_reason(key: str) -> str:
    """Why a key outside of the backbone is left out: the part it belongs to."""
    parts = key.split('.')
    wrapper = len(parts) > 1 and parts[0] in ('model', 'state_dict', 'net', 'backbone')
    return f'outside of the backbone: {parts[1] if wrapper else parts[0]}'
