"""What the user sees of a training run, all of it on stderr: remarks, warnings, and how far it is."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_REDRAW_S = 0.1
_LINE_S = 20.0
"""Where stderr is no terminal, a line at most this often."""


class Narrator:
    """Prints to stderr; quiet ones print nothing but warnings."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._quiet = quiet

    @property
    def live(self) -> bool:
        """Whether progress is a bar on a terminal; otherwise it is lines."""
        return self._console.is_terminal and not self._quiet

    def note(self, text: str) -> None:
        """Print a remark."""
        if not self._quiet:
            self._console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print what the user must know, quiet or not."""
        self._console.print(f"warning: {text}", markup=False)

    def bar(self, text: str, total: int, *, unit: str, lines: bool = True) -> Bar:
        """Return a progress bar to be used in a `with` block.

        Args:
            text: What is being done.
            total: How many there are to do.
            unit: What is counted.
            lines: Print a line now and then where there is no terminal.
        """
        return Bar(self._console, text, total, unit, live=self.live, lines=lines and not self._quiet)


class Bar:
    """How far something is, with the time left."""

    def __init__(self, console: Console, text: str, total: int, unit: str, *, live: bool, lines: bool) -> None:
        self._console = console
        self._text = text
        self._total = total
        self._unit = unit
        self._lines = lines and not live
        self._began = self._shown = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            auto_refresh=False,
            disable=not live,
        )
        self._task = self._progress.add_task(text, total=total)

    def update(self, done: int, text: str | None = None, *, kept: int = 0) -> None:
        """Say how many are done; cheap enough to be called for each.

        Args:
            done: How many.
            text: What is being done now; None if it is the same as before.
            kept: How many of these took no time, because an earlier run had done them.
        """
        self._text = text or self._text
        now = time.monotonic()
        if not self._progress.disable and now - self._shown >= _REDRAW_S:
            self._progress.update(self._task, completed=done, description=self._text, refresh=True)
            self._shown = now
        elif self._lines and now - self._shown >= _LINE_S and done > kept:
            left_s = (now - self._began) / (done - kept) * (self._total - done)
            message = f"{self._text}: {done} of {self._total} {self._unit}, about {clock(left_s)} left"
            self._console.print(message, markup=False)
            self._shown = now

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def clock(seconds: float) -> str:
    """Return a duration as `1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
