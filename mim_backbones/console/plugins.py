"""What packages bring by entry point: commands, analyses, tasks, folders of protocols.

    [project.entry-points."mimbench.tasks"]
    depth = "my_package.depth:TASK"

Nothing is imported before it is asked for, so that a broken plugin hurts only who uses it.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from mim_backbones.errors import UserError

OURS = 'mimbench'


@cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Name -> entry point of a group, sorted by name; see `doubled` for names that several claim.

    Of several with one name ours is taken, else the one whose package is first in the alphabet.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=_rank):
        found.setdefault(point.name, point)
    return dict(sorted(found.items()))


def doubled(group: str, name: str | None = None) -> list[str]:
    """A line for each plugin (of that name) whose name another one has taken."""
    taken = plugins(group)
    return [
        f'{describe(point)} is left out: {describe(taken[point.name])} has that name'
        for point in sorted(entry_points(group=group), key=_rank)
        if name in (None, point.name)
        and (point.value, owner(point)) != (taken[point.name].value, owner(taken[point.name]))
    ]


def load_plugin(point: EntryPoint, kind: type = object) -> Any:
    """The object that an entry point names.

    Raises:
        UserError: it cannot be imported, or is no `kind`; names the plugin and its package in one
            line.
    """
    try:
        found = point.load()
        if not isinstance(found, kind):
            raise TypeError(f'{point.value} is a {type(found).__name__}, not a {kind.__name__}')
        return found
    except Exception as error:  # a plugin is foreign code: whatever it raises, it is what is broken
        why = ' '.join(str(error).split()) or 'no message'
        raise UserError(
            f'{describe(point)} cannot be loaded ({type(error).__name__}: {why}); '
            f'mend or uninstall {owner(point)}'
        ) from error


def owner(point: EntryPoint) -> str:
    """Name and version of the distribution that brings it."""
    return f'{point.dist.name} {point.dist.version}' if point.dist else 'an unknown package'


def describe(point: EntryPoint) -> str:
    """For messages: "plugin 'depth' (mimbench.tasks, my-package 1.0)"."""
    return f'plugin {point.name!r} ({point.group}, {owner(point)})'


def _rank(point: EntryPoint) -> tuple[bool, str, str]:
    name = point.dist.name if point.dist else ''
    return name != OURS, name, point.value
