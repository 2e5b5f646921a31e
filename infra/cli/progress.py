"""Progress of a long command, on standard error: standard output is for its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import TimeRemainingColumn as Remaining

Advance = Callable[[], None]


class Phases:
    """The phases of one command, each with a bar, its count and the time left."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<15}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            Remaining(),
            console=console or Console(stderr=True),
        )

    def __enter__(self) -> Phases:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Advance]:
        """Begin a phase of `total` steps; each call of what it yields completes one."""
        task = self._progress.add_task(name, total=total)
        yield lambda: self._progress.advance(task)


def products_counted() -> Progress:
    """Count products whose number is not known before."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}: {task.completed} products"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
