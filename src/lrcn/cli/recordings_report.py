"""What `lrcn evaluate` prints of recordings, and of two models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console

from lrcn.cli.terminal import simple_table

if TYPE_CHECKING:
    from lrcn.evaluation.recognition.comparing import Comparison
    from lrcn.evaluation.recognition.recording_report import Figure, RecordingsReport

_PRINTED = {
    "f1_at_0.1": "F1 of bouts, IoU 0.1",
    "f1_at_0.25": "F1 of bouts, IoU 0.25",
    "f1_at_0.5": "F1 of bouts, IoU 0.5",
    "map_at_0.5": "mAP, IoU 0.5",
    "mean_map": "mAP, mean of IoU 0.1 to 0.7",
    "edit": "edit score",
    "bouts_per_true_bout": "bouts per true bout",
    "accuracy": "accuracy over time",
    "kappa": "Cohen's kappa",
    "frame_accuracy": "accuracy of single frames",
    "expected_frame_accuracy": "expected by the model",
    "calibration_error": "calibration error",
}


def print_recordings_report(console: Console, report: RecordingsReport) -> None:
    """Print the scores with their intervals, behaviour by behaviour, and recording by recording."""
    title = (
        f"{report.data}, split {report.split}: {report.num_recordings} recordings, {report.known_s / 60:.1f} minutes"
    )
    console.print(title, style="bold", markup=False)
    rows = [
        (text, _number(report.scores[name].value), _interval(report.scores[name])) for name, text in _PRINTED.items()
    ]
    console.print(simple_table(("", "score", "95 % interval by recording"), rows))
    console.print()
    classes = [
        (
            row.label,
            str(row.true_bouts),
            str(row.found_bouts),
            *map(_number, (row.f1_at_50.value, row.precision, row.recall, row.f1.value, row.kappa)),
        )
        for row in report.per_class
    ]
    header = ("behaviour", "bouts", "found", "F1 of bouts", "precision", "recall", "F1 of time", "kappa")
    console.print(simple_table(header, classes))
    console.print()
    recordings = [
        (
            row.recording,
            str(row.true_bouts),
            str(row.found_bouts),
            *map(_number, (row.f1_at_50, row.accuracy, row.frame_accuracy, row.expected_frame_accuracy)),
        )
        for row in report.recordings
    ]
    columns = ("recording", "bouts", "found", "F1 of bouts", "accuracy", "frames right", "expected")
    console.print(simple_table(columns, recordings))


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print how two models differ."""
    title = f"against {comparison.second.get('name', '')}, on the same {comparison.number} {comparison.drawn}"
    console.print(f"\n{title}", style="bold", markup=False)
    rows = [
        (
            _PRINTED.get(one.score, one.score.replace("_", " ")),
            _number(one.first),
            _number(one.second),
            f"{one.difference:+.2f}",
            "-" if math.isnan(one.low) else f"{one.low:+.2f} to {one.high:+.2f}",
            comparison.verdict(one),
        )
        for one in comparison.differences
        if one.score in _PRINTED or not one.score.startswith("map_at")
    ]
    console.print(simple_table(("", "this", "other", "difference", "95 % interval", "this is"), rows))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _interval(one: Figure) -> str:
    return "-" if math.isnan(one.low) else f"{one.low:.2f} to {one.high:.2f}"
