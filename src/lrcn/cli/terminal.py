"""What the user sees: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lrcn.errors import brief
from lrcn.inference.recognition.timeline import timeline
from lrcn.results import RecognitionResult, named

if TYPE_CHECKING:
    from lrcn.evaluation.recognition.report import EvaluationReport

BAR_CELLS = 24
PIPE_COLUMNS = 120
"""Width of a table that goes to a file or a pipe, where there is no terminal to ask."""


class _ResultsConsole(Console):
    """rich ends the program by itself when nobody reads on; here `lrcn.cli.main` does, with its own exit code."""

    def on_broken_pipe(self) -> None:
        raise  # what rich has caught


def results_console() -> Console:
    """Return the console for results: coloured on a terminal, plain text elsewhere."""
    return _ResultsConsole(
        file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, emoji=False
    )


def remark(text: str, *, quiet: bool = False) -> None:
    """Print a line on stderr, unless the user asked for quiet."""
    if not quiet:
        print(text, file=sys.stderr)


def warn(warnings: Iterable[str], *, quiet: bool) -> None:
    """Print what a careful user would want to know, a line each, unless the user asked for quiet."""
    for warning in warnings:
        remark(brief(f"lrcn: warning: {warning}"), quiet=quiet)


class ProgressBar:
    """A bar with the time left on stderr, gone at the end; nothing where stderr is no terminal."""

    def __init__(self, total: float, *, quiet: bool = False) -> None:
        console = Console(stderr=True, emoji=False)
        self.shown = console.is_terminal and not quiet
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,  # or results would go to stderr
            redirect_stderr=False,
            disable=not self.shown,
        )
        self._task = self._bar.add_task("", total=total)

    def update(self, done: float, text: str, total: float | None = None) -> None:
        """Show what is done of the total, and what is being done."""
        self._bar.update(self._task, completed=done, description=text, total=total)

    def count(self, what: str, done: int, total: int) -> None:
        """Show how much of something is done, as `lrcn.evaluate` reports it."""
        self.update(done, f"{what}: {done} of {total}", total)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the bar away while something is printed."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def print_json(value: Mapping[str, Any]) -> None:
    """Print one line of JSON; letters that the terminal's encoding lacks are escaped as JSON escapes them."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(value)
    print(text, flush=True)


def print_result(console: Console, result: RecognitionResult) -> None:
    """Print a video's labels, and its timeline where it has more than one window."""
    console.print(f"{result.source}  {result.duration_s:.1f} s", style="bold", markup=False, soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for i, entry in enumerate(result.top):
        label = named(entry.label, known=result.known or i > 0)
        _add_row(table, console, "whole video" if i == 0 else "", label, entry.prob)
    if len(result.segments) > 1:
        table.add_section()
        for stretch in timeline(result):
            label = named(stretch.label, known=stretch.known)
            _add_row(table, console, f"{stretch.start_s:.1f} - {stretch.end_s:.1f} s", label, stretch.prob)
    console.print(table)
    console.print()


def print_bouts(console: Console, result: RecognitionResult) -> None:
    """Print of each label of a recording how many bouts there are, how long they last and what share they take.

    Where bouts have subjects, of each by itself.
    """
    bouts = result.bouts or ()
    summary = f"{len(bouts)} bouts in {result.duration_s:.1f} s" if bouts else f"no bouts in {result.duration_s:.1f} s"
    console.print(f"{result.source}  {summary}", style="bold", markup=False, soft_wrap=True)
    rows = []
    for subject, label in sorted({(bout.subject, bout.label) for bout in bouts}):
        own = [bout.duration_s for bout in bouts if (bout.subject, bout.label) == (subject, label)]
        rows.append((subject, label, str(len(own)), f"{sum(own):.1f}", f"{sum(own) / result.duration_s:.0%}"))
    if rows:
        first = 0 if any(row[0] for row in rows) else 1
        header = ("subject", "label", "bouts", "seconds", "share")
        console.print(simple_table(header[first:], [row[first:] for row in rows]))
    console.print()


def print_report(console: Console, report: EvaluationReport) -> None:
    """Print the scores of an evaluation, class by class, and the commonest confusions."""
    low, high = report.top1_interval
    console.print(f"{report.data}, split {report.split}: {report.num_videos} videos", style="bold", markup=False)
    scores = [("top-1", f"{report.top1:.1%}", f"95 % interval {low:.1%} to {high:.1%}")]
    if len(report.labels) > 5:
        scores.append(("top-5", f"{report.top5:.1%}", ""))
    scores.append(("mean class accuracy", f"{report.mean_class_accuracy:.1%}", ""))
    scores.append(("calibration error", f"{report.calibration_error:.1%}", "between probability and accuracy"))
    if report.num_unknown:
        scores.append(("unknown", f"{report.num_unknown / report.num_videos:.1%}", _of_the_known(report)))
    console.print(simple_table(None, scores))
    console.print()
    rows = [
        (
            row.label,
            str(row.support),
            f"{row.recall:.1%}",
            f"{row.precision:.1%}",
            f"{row.f1:.1%}",
            _taken_for(report, i),
        )
        for i, row in enumerate(report.per_class)
    ]
    console.print(simple_table(("class", "videos", "recall", "precision", "F1", "mostly taken for"), rows))


def _of_the_known(report: EvaluationReport) -> str:
    if report.top1_known is None:
        return "nothing is known"
    return f"of the others {report.top1_known:.1%} are right"


def _taken_for(report: EvaluationReport, label_id: int) -> str:
    """Name the class that videos of a class are wrongly taken for most often."""
    wrong = [(count, -other) for other, count in enumerate(report.confusion[label_id]) if other != label_id and count]
    if not wrong:
        return ""
    count, other = max(wrong)
    return f"{report.labels[-other]} ({count})"


def simple_table(header: Sequence[str] | None, rows: Iterable[Sequence[str]]) -> Table:
    """Return a table without lines: first column to the left, numbers to the right, other text to the left."""
    rows = list(rows)
    table = Table(box=None, show_header=header is not None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for i, title in enumerate(header or rows[0]):
        numeric = i > 0 and all(row[i][:1].isdigit() for row in rows)
        table.add_column(
            title if header else "", justify="right" if numeric else "left", no_wrap=numeric, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _add_row(table: Table, console: Console, when: str, label: str, prob: float) -> None:
    cell = "█" if console.encoding.lower().startswith("utf") else "#"
    table.add_row(when, Text(label), cell * round(BAR_CELLS * prob), f"{100 * prob:.0f} %")
