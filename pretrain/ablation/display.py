"""What an ablation shows while it pre-trains: a bar on a terminal, elsewhere a line at times."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

QUIET_INTERVAL = 30.0  # seconds between lines where there is no terminal


class Display:
    """One bar for the row that trains. Use as a context manager; all of it on stderr."""

    def __init__(self, title: str, steps: int) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.title, self.steps = title, steps
        self.last_line = time.monotonic()
        self.progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(bar_width=24),
            TextColumn('{task.completed}/{task.total} steps', style='dim'),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self.bar = self.progress.add_task(title, total=steps)

    def __enter__(self) -> 'Display':
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def tick(self, done: int) -> None:
        self.progress.update(self.bar, completed=done)
        if not self.console.is_terminal and time.monotonic() - self.last_line > QUIET_INTERVAL:
            self.last_line = time.monotonic()
            self.say(f'{done}/{self.steps} steps')

    def say(self, line: str) -> None:
        self.console.print(f'{self.title}: {line}', markup=False, soft_wrap=True)
