"""Sorts results into groups that may be compared, and each group into systems.

A group is one task under one protocol (name, version, tier and the digest of what was really run)
on one data set (fingerprint): only inside it is one number above another. A system is one
checkpoint; its seeds are its runs. Where each seed has a pre-training of its own, as in an
ablation, a system is all the checkpoints of one name: then its intervals cover pre-training too.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from downstream.results.result import Protocol, Result, StoredResult
from downstream.task import Task, tasks
from mim_backbones.errors import UserError

SystemKey = tuple[str, str, str]  # name, backbone, checkpoint


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
    def backbone(self) -> str:
        """Digest of the backbone's options: what a random start belongs to."""
        return self.runs[0].result.backbone_sha256

    @property
    def method(self) -> str:
        return self.runs[0].result.method


@dataclass(frozen=True)
class Group:
    """What may be compared. Its texts are those of no other group of the task."""

    task: str
    protocol: Protocol
    protocol_text: str  # with the options changed against the recipe
    data_text: str
    systems: tuple[System, ...]

    @property
    def first(self) -> Result:
        return self.systems[0].runs[0].result

    @property
    def fingerprint(self) -> str:
        return str(self.first.data['fingerprint'])

    @property
    def title(self) -> str:
        return f'{self.task.capitalize()}: {self.protocol_text}, {self.data_text}'

    @property
    def slug(self) -> str:
        """For file names and anchors; unique among the groups."""
        digest = hashlib.sha256(' '.join(_group_key(self.first)).encode()).hexdigest()
        text = f'{self.task}-{self.protocol.name}-v{self.protocol.version}-{self.protocol.tier}'
        return re.sub(r'[^a-z0-9]+', '-', f'{text}-{digest[:8]}'.lower())

    @property
    def known(self) -> Task | None:
        """The task; None where no installed package has it."""
        return tasks().get(self.task)

    @property
    def unit(self) -> str:
        """What intervals draw from, in the plural."""
        return self.known.unit if self.known else 'units'

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those every run has: the primary one, then in the task's order."""
        results = [run.result for run in self.runs()]
        shared = [m for m in results[0].metrics if all(m in r.metrics for r in results)]
        order = list(self.known.metrics) if self.known else shared
        return tuple(
            sorted(shared, key=lambda m: (m != self.primary, m not in order, [*order, m].index(m)))
        )

    @property
    def primary(self) -> str:
        return self.first.primary

    @property
    def headline_metrics(self) -> tuple[str, ...]:
        """Those that sum the task up, the primary one first."""
        headline = self.known.headline if self.known else ()
        return tuple(m for m in self.metrics if m == self.primary or m in headline)

    def metric_name(self, metric: str) -> str:
        """How people call it."""
        named = self.known.metrics if self.known else {}
        return named.get(metric, metric.replace('_', ' '))

    def runs(self) -> Iterator[StoredResult]:
        for system in self.systems:
            yield from system.runs


def group_results(results: Iterable[StoredResult], by_name: bool = False) -> list[Group]:
    """Groups by task, then by protocol; systems by label.

    by_name: whether checkpoints of one name are one system.

    Raises:
        UserError: two files hold the same run, or results of a group disagree on the primary
            metric; names the files.
    """
    results = list(results)
    key_of = partial(_system_key, by_name=by_name)
    labels = _labels(results, key_of)
    grouped: dict[tuple, dict[str, list[StoredResult]]] = defaultdict(lambda: defaultdict(list))
    for stored in results:
        key = _group_key(stored.result)
        grouped[key][labels[key_of(stored.result)]].append(stored)
    firsts = [next(iter(systems.values()))[0].result for systems in grouped.values()]
    groups = []
    for key in sorted(grouped):
        systems = tuple(
            System(label, tuple(sorted(runs, key=lambda run: run.result.seed)))
            for label, runs in sorted(grouped[key].items())
        )
        first = systems[0].runs[0].result
        others = [one for one in firsts if one.task == first.task]
        protocol_text = _telling(first, others, _PROTOCOL_TEXTS)
        data_text = _telling(first, others, _DATA_TEXTS)
        group = Group(first.task, first.protocol, protocol_text, data_text, systems)
        _check(group)
        groups.append(group)
    return groups


def _group_key(result: Result) -> tuple[str, ...]:
    protocol = result.protocol
    return (
        result.task,
        *(protocol.name, str(protocol.version), protocol.tier, result.protocol_sha256),
        str(result.data['fingerprint']),
    )


def _system_key(result: Result, by_name: bool) -> SystemKey:
    digest = result.checkpoint.sha256 if result.checkpoint and not by_name else ''
    return result.name, result.backbone_sha256, digest


# From the shortest text to one that is a digest's and therefore tells everything apart.
Texts = tuple[Callable[[Result], str], ...]
_PROTOCOL_TEXTS: Texts = (
    lambda result: result.protocol_text,
    lambda result: f'{result.protocol_text} {result.protocol_sha256[:8]}',
)
_DATA_TEXTS: Texts = (
    lambda result: str(result.data['name']),
    lambda result: '/'.join(
        (*Path(str(result.data.get('root', ''))).parts[-2:-1], str(result.data['name']))
    ),
    lambda result: f'{result.data["name"]} {str(result.data["fingerprint"])[:8]}',
)


def _telling(result: Result, others: Sequence[Result], texts: Texts) -> str:
    """The shortest text that `result` shares with none of `others` that differ in the last one."""
    different = [other for other in others if texts[-1](other) != texts[-1](result)]
    for text in texts:
        if text(result) not in {text(other) for other in different}:
            break
    return text(result)


def _labels(
    results: list[StoredResult], key_of: Callable[[Result], SystemKey]
) -> dict[SystemKey, str]:
    """A label per system: its name, with what tells namesakes apart added where there are any."""
    systems = {key_of(stored.result): stored.result for stored in results}
    labels = {}
    for (name, backbone, checkpoint), result in systems.items():
        namesakes = [key for key in systems if key[0] == name]
        architectures = {key[1]: systems[key].architecture for key in namesakes}
        alike = [key for key in namesakes if key[1] == backbone]
        added = []
        if len(set(architectures.values())) > 1:
            added.append(result.architecture)
        if list(architectures.values()).count(result.architecture) > 1:
            added.append(f'backbone {backbone[:8]}')
        if len(alike) > 1:
            added.append(checkpoint[:8] or 'no checkpoint')
        labels[name, backbone, checkpoint] = f'{name} ({", ".join(added)})' if added else name
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
