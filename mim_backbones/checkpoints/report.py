"""What happened to every key when weights were loaded, and the gaps that are refused."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mmengine.logging import MMLogger

from mim_backbones.backbones.layers.pos_embed import Resize
from mim_backbones.checkpoints.choose import Model
from mim_backbones.checkpoints.dialects.base import Translated
from mim_backbones.checkpoints.fit import Fitted
from mim_backbones.checkpoints.safe.weights_file import CheckpointError
from mim_backbones.checkpoints.shapes import architecture_name

POSITIONS = {'pos_embed', 'absolute_pos_embed'}
LINES = 6  # names shown of each kind; as_dict has all


@dataclass
class LoadReport:
    """Outcome of loading a checkpoint into a backbone.

    Attributes:
        source: file name, 'timm:NAME' or 'state dict'.
        dialect: whose key names the checkpoint used.
        architecture: of the checkpoint, as its shapes show it.
        weights: which of the file's weights were taken, and from under which prefix.
        loaded: backbone parameters taken as they were.
        resized: backbone parameter -> 'from -> to', or how else it was made to fit.
        fresh: backbone parameters the checkpoint lacks that start fresh, as published recipes
            have it (mask token, relative positions from zero).
        ignored: reason -> checkpoint keys left out on purpose (heads, decoders, index buffers).
        missing: backbone parameters the checkpoint does not cover.
        unexpected: checkpoint keys nobody asked for.
        guessed: sizes that nothing in the checkpoint shows, and where they are from.
        resizing: how absolute positions were taken to another grid; '' where they were not.
    """

    source: str
    dialect: str
    architecture: str = ''
    weights: str = 'weights'
    loaded: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    resizing: str = ''

    @property
    def covered(self) -> float:
        """Share of the backbone's parameters (by name) that the checkpoint covers."""
        found = len(self.loaded) + len(self.resized)
        return found / max(1, found + len(self.missing) + len(self.fresh))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), 'covered': self.covered}

    def as_text(self) -> str:
        """For people: a line for each kind, long lists cut."""
        left_out = sum(len(keys) for keys in self.ignored.values())
        lines = [
            f'{self.source}: {self.dialect}, {self.weights}; {self.architecture}',
            f'  {share(self.covered)} of the backbone covered: {len(self.loaded)} loaded, '
            f'{len(self.resized)} resized, {len(self.fresh)} fresh, {len(self.missing)} missing; '
            f'{left_out} keys ignored, {len(self.unexpected)} unexpected',
        ]
        lines += [f'  guessed    {line}' for line in self.guessed]
        lines += shortened('resized', [f'{name}: {how}' for name, how in self.resized.items()])
        lines += [f'  positions  {self.resizing}'] if self.resizing else []
        lines += [f'  ignored    {len(keys)} x {why}' for why, keys in self.ignored.items()]
        lines += shortened('fresh', self.fresh)
        lines += shortened('missing', self.missing)
        lines += shortened('unexpected', self.unexpected)
        return '\n'.join(lines)

    def log(self) -> None:
        """Write the report to mmengine's current logger."""
        MMLogger.get_current_instance().info(self.as_text())


def shortened(kind: str, entries: list[str]) -> list[str]:
    """One line per entry, the rest counted."""
    lines = [f'  {kind:<10} {entry}' for entry in entries[:LINES]]
    if len(entries) > LINES:
        lines.append(f'  {kind:<10} ... and {len(entries) - LINES} more')
    return lines


def share(covered: float) -> str:
    """Percent; 100 % only for everything."""
    return '100 %' if covered == 1 else f'{min(covered, 0.999):.1%}'.replace('%', ' %')


def report_of(
    model: Model, translated: Translated, fitted: Fitted, guessed: Sequence[str], how: Resize
) -> LoadReport:
    """Every key of the file and every parameter of the backbone, under what became of it."""
    ignored = {why: list(keys) for why, keys in translated.ignored.items()}
    for why, keys in fitted.ignored.items():
        ignored.setdefault(why, []).extend(keys)
    return LoadReport(
        source=model.name,
        dialect=translated.dialect.name,
        architecture=architecture_name(translated.dialect.family, translated.state),
        weights=model.where,
        loaded=[key for key in fitted.state if key not in fitted.resized],
        resized={key: how for key, how in fitted.resized.items() if key in fitted.state},
        fresh=fitted.fresh,
        ignored=ignored,
        missing=fitted.missing,
        unexpected=[*translated.unexpected, *fitted.homeless],
        guessed=list(guessed),
        resizing=str(how) if POSITIONS & set(fitted.resized) else '',
    )


def refuse_gaps(report: LoadReport, fitted: Fitted, translated: Translated) -> None:
    """Raises CheckpointError naming what is missing, or what the backbone has no place for."""
    if report.missing:
        raise CheckpointError(
            f'checkpoint {report.source} ({report.dialect}) covers {report.covered:.0%} of the '
            f'backbone; {len(report.missing)} parameters missing: {some(report.missing)}'
        )
    if fitted.homeless:
        raise CheckpointError(
            f'checkpoint {report.source} ({report.dialect}, {report.architecture}) has weights '
            f'the backbone has no place for: {some(fitted.homeless)}; build it as '
            'from_checkpoint does, or name them in leave_out'
        )
    if translated.unexpected:
        raise CheckpointError(
            f'checkpoint {report.source} ({report.dialect}, {report.architecture}) has beside its '
            f'backbone weights of a kind mimbench does not know: {some(translated.unexpected)}; '
            'if the features do without them, name them in leave_out'
        )


def some(names: Sequence[str], count: int = 5) -> str:
    """The first names, and whether there are more."""
    return ', '.join(names[:count]) + (f', ... ({len(names)} in all)' if len(names) > count else '')
