"""What happened to every key when weights were loaded."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mmengine.logging import MMLogger

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
        lines += shortened('resized', [f'{name}: {how}' for name, how in self.resized.items()])
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
