"""What happened to every key when weights were loaded."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mmengine.logging import MMLogger


@dataclass
class LoadReport:
    """Outcome of loading a checkpoint into a backbone.

    Attributes:
        source: file name or 'state dict'.
        dialect: whose key names the checkpoint used.
        loaded: backbone parameters taken as they were.
        resized: backbone parameter -> 'from -> to' shapes.
        ignored: checkpoint keys left out on purpose (heads, decoders, index buffers).
        missing: backbone parameters the checkpoint does not cover.
        unexpected: checkpoint keys nobody asked for.
    """

    source: str
    dialect: str
    loaded: list[str] = field(default_factory=list)
    resized: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    @property
    def covered(self) -> float:
        """Share of the backbone's parameters that the checkpoint covers."""
        found = len(self.loaded) + len(self.resized)
        return found / max(1, found + len(self.missing))

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), 'covered': self.covered}

    def as_text(self) -> str:
        lines = [
            f'{self.source}: dialect {self.dialect}, {self.covered:.0%} of the backbone covered '
            f'({len(self.loaded)} loaded, {len(self.resized)} resized, '
            f'{len(self.missing)} missing, {len(self.ignored)} ignored, '
            f'{len(self.unexpected)} unexpected)'
        ]
        lines += [f'  resized    {name}: {change}' for name, change in self.resized.items()]
        lines += [f'  missing    {name}' for name in self.missing]
        lines += [f'  unexpected {name}' for name in self.unexpected]
        return '\n'.join(lines)

    def log(self) -> None:
        """Write the report to mmengine's current logger."""
        MMLogger.get_current_instance().info(self.as_text())
