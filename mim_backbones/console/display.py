"""What a command shows while its processes run: bars on a terminal, elsewhere a line at times."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

QUIET_INTERVAL = 30.0  # seconds between lines where there is no terminal to draw bars on


class Stand(NamedTuple):
    """How far a process is: its title, the share that is done, and the same in words."""

    title: str
    share: float
    words: str


class PoolDisplay:
    """A bar for each process. Use as a context manager; all of it on stderr.

    Args:
        total: how many processes there will be.
    """

    def __init__(self, total: int) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.total = total
        self.ended_processes = 0
        self.bars: dict[str, TaskID] = {}
        self.last_line = time.monotonic()
        self.progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(bar_width=24),
            TextColumn('{task.fields[words]}', style='dim'),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> 'PoolDisplay':
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def tick(self, stands: Sequence[Stand]) -> None:
        """Show how far those that run are."""
        speak = not self.console.is_terminal and (
            time.monotonic() - self.last_line > QUIET_INTERVAL
        )
        for title, share, words in stands:
            if title not in self.bars:
                self.bars[title] = self.progress.add_task(title, total=1, words=words)
            self.progress.update(self.bars[title], completed=share, words=words)
            if speak:
                self.say(f'  {title}: {words}')
        if speak:
            self.last_line = time.monotonic()

    def ended(self, title: str, words: str) -> None:
        """Replace a bar by a line that says how it ended and how many have."""
        self.ended_processes += 1
        bar = self.bars.pop(title, None)
        if bar is not None:
            self.progress.remove_task(bar)
        self.say(f'[{self.ended_processes}/{self.total}] {title}: {words}')

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """75 -> '1:15'."""
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes}:{rest:02d}'
