"""Sorts results into groups that may be compared, and each group into systems.

A group is one task under one protocol (name, version, tier) on one data set (fingerprint): only
inside it is one number above another. A system is one checkpoint; its seeds are its runs.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from downstream.results.result import Protocol, StoredResult
from mim_backbones.errors import UserError

# Shown beside the primary metric wherever a task is summed up in few numbers.
COMPANIONS = {'box_mAP': ('mask_mAP',), 'mask_mAP': ('box_mAP',)}


@dataclass(frozen=True)
class System:
    """One checkpoint in one group, with its runs by rising seed."""

    label: str  # its name, made unique where two checkpoints share one
    runs: tuple[StoredResult, ...]

    @property
    def name(self) -> str:
        return self.runs[0].result.name

    @property
    def architecture(self) -> str:
        return self.runs[0].result.architecture

    @property
    def method(self) -> str:
        return self.runs[0].result.method


@dataclass(frozen=True)
class Group:
    """What may be compared."""

    task: str
    protocol: Protocol
    data_name: str
    fingerprint: str
    systems: tuple[System, ...]

    @property
    def title(self) -> str:
        return f'{self.task.capitalize()}: {self.protocol}, {self.data_name}'

    @property
    def slug(self) -> str:
        """For file names and anchors; unique among the groups."""
        parts = (self.task, self.protocol.name, f'v{self.protocol.version}', self.protocol.tier)
        text = '-'.join((*parts, self.data_name, self.fingerprint[:8]))
        return re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those every run has, the primary one first."""
        results = [run.result for run in self.runs()]
        shared = [m for m in results[0].metrics if all(m in r.metrics for r in results)]
        return tuple(sorted(shared, key=lambda metric: metric != self.primary))

    @property
    def primary(self) -> str:
        return self.systems[0].runs[0].result.primary

    @property
    def headline_metrics(self) -> tuple[str, ...]:
        companions = COMPANIONS.get(self.primary, ())
        return (self.primary, *(metric for metric in companions if metric in self.metrics))

    def runs(self) -> Iterator[StoredResult]:
        for system in self.systems:
            yield from system.runs


def group_results(results: Iterable[StoredResult]) -> list[Group]:
    """Groups by task, then by protocol; systems by label.

    Raises:
        UserError: two files hold the same run, or results of a group disagree on the primary
            metric; names the files.
    """
    results = list(results)
    labels = _labels(results)
    grouped: dict[tuple, dict[str, list[StoredResult]]] = defaultdict(lambda: defaultdict(list))
    for stored in results:
        grouped[_group_key(stored)][labels[_system_key(stored)]].append(stored)
    groups = []
    for key in sorted(grouped):
        systems = tuple(
            System(label, tuple(sorted(runs, key=lambda run: run.result.seed)))
            for label, runs in sorted(grouped[key].items())
        )
        first = systems[0].runs[0].result
        data = first.data
        group = Group(
            first.task, first.protocol, str(data['name']), str(data['fingerprint']), systems
        )
        _check(group)
        groups.append(group)
    return groups


def _group_key(stored: StoredResult) -> tuple:
    result = stored.result
    protocol = result.protocol
    return (
        result.task,
        *(protocol.name, str(protocol.version), protocol.tier),
        str(result.data['fingerprint']),
    )


def _system_key(stored: StoredResult) -> tuple[str, str, str]:
    result = stored.result
    digest = result.checkpoint.sha256 if result.checkpoint else ''
    return result.name, result.architecture, digest


def _labels(results: list[StoredResult]) -> dict[tuple[str, str, str], str]:
    """A label per system: its name, with what tells namesakes apart added where there are any."""
    keys = {_system_key(stored) for stored in results}
    labels = {}
    for name, architecture, digest in keys:
        namesakes = [key for key in keys if key[0] == name]
        added = []
        if len({key[1] for key in namesakes}) > 1:
            added.append(architecture)
        if len({key[2] for key in namesakes if key[1] == architecture}) > 1:
            added.append(digest[:8] or 'no checkpoint')
        labels[name, architecture, digest] = f'{name} ({", ".join(added)})' if added else name
    return labels


def _check(group: Group) -> None:
    first = next(group.runs())
    for system in group.systems:
        for run, other in zip(system.runs, system.runs[1:]):
            if run.result.seed == other.result.seed:
                raise UserError(
                    f'{run.path} and {other.path.name} are the same run of {system.label} '
                    f'(seed {run.result.seed}); delete one'
                )
    for run in group.runs():
        if run.result.primary != first.result.primary:
            raise UserError(
                f'{run.path}: primary metric {run.result.primary}, but {first.path.name} of the '
                f'same protocol has {first.result.primary}; evaluate both with one version'
            )
