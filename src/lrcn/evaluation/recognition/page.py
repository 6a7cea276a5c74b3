"""`index.html`: an evaluation as one file that can be sent to somebody, for clips and for recordings.

Nothing is fetched, there is no script, and the template escapes every text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lrcn.bouts import BACKGROUND
from lrcn.evaluation.recognition.comparing import LEAST_NUMBER, Comparison
from lrcn.evaluation.recognition.examples_shown import (
    clip_errors,
    clip_looks,
    recording_errors,
    recording_looks,
)
from lrcn.evaluation.recognition.figures import interval_bar, reliability_chart
from lrcn.evaluation.recognition.recording_report import Figure, RecordingsReport
from lrcn.evaluation.recognition.report import EvaluationReport
from lrcn.evaluation.recognition.timelines import timelines
from lrcn.files import write_text
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.metrics.calibration import ReliabilityBin

MOST_IN_CONFUSION = 30
"""Classes up to which the confusion is shown as a whole; of more, the table of classes names the commonest mistakes."""

SCORE_NAMES = {
    "f1_at_0.5": ("F1 of bouts at IoU 0.5", "a bout counts if it overlaps a true one of its label by half"),
    "f1_at_0.25": ("F1 of bouts at IoU 0.25", ""),
    "f1_at_0.1": ("F1 of bouts at IoU 0.1", ""),
    "map_at_0.5": ("mAP at IoU 0.5", "average precision of bouts, mean over behaviours"),
    "mean_map": ("mAP, mean of IoU 0.1 to 0.7", ""),
    "edit": ("edit score", "order of bouts, whatever their times"),
    "bouts_per_true_bout": ("bouts per true bout", "1 is right; above, bouts fall to pieces or are made up"),
    "accuracy": ("accuracy over time", "share of the time of which the bouts say what is shown"),
    "kappa": ("Cohen's kappa", "agreement of model and annotator beyond chance, over time"),
    "frame_accuracy": ("accuracy of single frames", "of the most probable class, before bouts are made"),
    "expected_frame_accuracy": ("the same, as expected", "what the probabilities say it is"),
    "calibration_error": ("calibration error", "how far the two are apart, bin by bin; 0 is best"),
    "top1": ("accuracy (top-1)", "share of videos whose most probable class is right"),
    "mean_class_accuracy": ("mean class accuracy", "mean recall of the classes: rare ones count as much"),
    "label_prob": ("probability of the right class", "mean over the videos"),
    "top5": ("top-5", "share of videos whose class is among the five most probable"),
}
"""Score -> how it is called on the page, and what it is."""


def write_recordings_page(
    path: Path,
    report: RecordingsReport,
    recognizer: VideoRecognizer | None = None,
    comparison: Comparison | None = None,
) -> None:
    """Write the page of an evaluation on recordings.

    Args:
        path: The `.html` file.
        report: What it shows.
        recognizer: What was evaluated, for where it looks; None leaves that out.
        comparison: With another model.
    """
    rows = [_score_row(name, report.scores[name]) for name in SCORE_NAMES if name in report.scores]
    about = "with 95 % intervals: recordings are drawn anew a thousand times"
    if report.num_recordings < LEAST_NUMBER:
        about += f"; of fewer than {LEAST_NUMBER} recordings they are rough"
    if report.num_recordings < 2:
        about = "one recording only: nothing says how much recordings differ, so there are no intervals"
    sections = [
        {"key": "scores", "title": "Scores", "note": f"Over all recordings, {about}.", "rows": rows},
        *_compared(comparison),
        {"key": "timelines", "title": "Timelines", "timelines": timelines(report)},
        _tables("classes", "Behaviours", _of_behaviours(report), "Shares of 1; in brackets the 95 % interval."),
        *_confused(
            (*report.labels, BACKGROUND),
            report.confusion_s,
            "shown / predicted",
            "Seconds: a row is what was annotated, a column what was predicted; the darker, the more of its row.",
        ),
        _reliability(report.reliability, report.scores["calibration_error"].value, "answers of single frames"),
        _tables("recordings", "Recordings", _of_recordings(report), "Shares of 1; nothing to count: -."),
        _tables("budget", "Time budget", _budget(report), "Seconds and bouts, in the time that was annotated."),
        {
            "key": "errors",
            "title": "Worst errors",
            "note": "The longest stretches of which annotation and model say different things.",
            "shown": recording_errors(report),
        },
        *_looked_at(recording_looks(report, recognizer)),
    ]
    one = report.scores["f1_at_0.5"]
    interval = "" if math.isnan(one.low) else f" (95 % interval {one.low:.2f} to {one.high:.2f})"
    recordings = "1 recording" if report.num_recordings == 1 else f"{report.num_recordings} recordings"
    bouts = sum(row.true_bouts for row in report.recordings)
    summary = (
        f"{recordings}, {report.known_s / 60:.1f} annotated minutes with {bouts} bouts of {len(report.labels)} "
        f"behaviours: F1 of bouts at an IoU of 0.5 is {one.value:.2f}{interval}, Cohen's kappa with the annotator "
        f"{_number(report.scores['kappa'].value)}."
    )
    failures = [f"Not read, and in no score: {failure.message}" for failure in report.failures]
    _write(path, f"{report.data}, {report.split}", summary, report.model, sections, [*failures, *report.warnings])


def write_clips_page(
    path: Path,
    report: EvaluationReport,
    recognizer: VideoRecognizer | None = None,
    comparison: Comparison | None = None,
) -> None:
    """Write the page of an evaluation on clips; arguments as for `write_recordings_page`."""
    scores = {
        "top1": Figure(report.top1, *report.top1_interval),
        **({"top5": Figure(report.top5)} if len(report.labels) > 5 else {}),
        "mean_class_accuracy": Figure(report.mean_class_accuracy),
        "calibration_error": Figure(report.calibration_error),
    }
    sections = [
        {
            "key": "scores",
            "title": "Scores",
            "note": "Of whole videos; the interval is Wilson's, at 95 %.",
            "rows": [_score_row(name, one) for name, one in scores.items()],
        },
        *_compared(comparison),
        _tables("classes", "Classes", _of_classes(report), "Shares of 1."),
        *_confused(
            report.labels,
            report.confusion,
            "right / predicted",
            "Videos: a row is the right class, a column the predicted one; the darker, the more of its row.",
        ),
        _reliability(report.reliability, report.calibration_error, "answers"),
        {
            "key": "errors",
            "title": "Worst errors",
            "note": "Wrong answers, the surest first.",
            "shown": clip_errors(report),
        },
        *_looked_at(clip_looks(report, recognizer)),
    ]
    low, high = report.top1_interval
    summary = (
        f"{report.num_videos} videos of {len(report.labels)} classes: {report.top1:.1%} are answered rightly (95 % "
        f"interval {low:.1%} to {high:.1%})."
    )
    failures = [f"Not read, and in no score: {failure.message}" for failure in report.failures]
    _write(path, f"{report.data}, {report.split}", summary, report.model, sections, failures)


def _write(
    path: Path,
    title: str,
    summary: str,
    model: dict[str, str],
    sections: Sequence[dict[str, Any]],
    warnings: Sequence[str],
) -> None:
    pages = Environment(
        loader=PackageLoader("lrcn.evaluation.recognition"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Markup(pages.loader.get_source(pages, "page.css")[0] if pages.loader else "")  # ours, and no user's
    kept = [{"note": "", **section} for section in sections if section.get("shown", True)]
    text = pages.get_template("page.html").render(
        title=title,
        summary=summary,
        model={"name": "", "sha256": "", "runtime": "", **model},
        sections=kept,
        warnings=warnings,
        style=style,
        version=version("lrcn"),
    )
    write_text(path, text)


def _score_row(name: str, one: Figure) -> dict[str, object]:
    most = 2.0 if name == "bouts_per_true_bout" else 1.0
    return {
        "name": SCORE_NAMES[name][0],
        "about": SCORE_NAMES[name][1],
        "value": _number(one.value),
        "interval": "" if math.isnan(one.low) else f"{one.low:.2f} to {one.high:.2f}",
        "bar": interval_bar(one.value, one.low, one.high, most=most),
    }


def _compared(comparison: Comparison | None) -> list[dict[str, Any]]:
    if comparison is None:
        return []
    rows = [
        (
            SCORE_NAMES[one.score][0],
            _number(one.first),
            _number(one.second),
            _signed(one.difference),
            "-" if math.isnan(one.low) else f"{_signed(one.low)} to {_signed(one.high)}",
            interval_bar(one.difference, one.low, one.high, least=-1.0),
            comparison.verdict(one),
        )
        for one in comparison.differences
        if one.score in SCORE_NAMES
    ]
    header = ("", "this model", "other model", "difference", "95 % interval", "-1 to 1", "this model is")
    note = (
        f"The other model is {comparison.second.get('name', '')}. Both saw the same {comparison.number} "
        f"{comparison.drawn}, and the same ones are drawn anew for both (paired bootstrap)."
    )
    return [_tables("compared", "Two models", [{"title": "", "header": header, "rows": rows}], note)]


def _confused(labels: Sequence[str], counts: Sequence[Sequence[float]], corner: str, note: str) -> list[dict[str, Any]]:
    if not counts or len(labels) > MOST_IN_CONFUSION:
        return []
    rows = [
        [{"share": f"{cell / max(sum(row), 1e-9):.3f}", "text": f"{cell:g}" if cell else "·"} for cell in row]
        for row in counts
    ]
    return [{"key": "confusion", "title": "Confusion", "note": note, "corner": corner, "labels": labels, "rows": rows}]


def _reliability(bins: Sequence[ReliabilityBin], error: float, what: str) -> dict[str, Any]:
    number = sum(one.count for one in bins)
    told = "; ".join(f"said {one.prob:.2f}, right {one.accuracy:.2f}" for one in bins if one.count)
    return {
        "key": "reliability",
        "title": "Reliability",
        "note": f"{number} {what} by their probability (bars: how many). On the dashed line, probabilities are what "
        f"they say; the mean distance from it, the calibration error, is {error:.3f}.",
        "chart": reliability_chart(bins, f"Reliability diagram: {told}"),
    }


def _looked_at(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    mapped = any(item["mapped"] for item in items)
    note = "A few clips, right and wrong ones, chosen by probability. Beneath each frame is how probable the label is."
    if mapped:
        note += (
            " The second row shows where the model looks (Grad-CAM): the brighter, the more that place speaks for the "
            "label; each clip has its own scale."
        )
    return [{"key": "looks", "title": "Where the model looks" if mapped else "Clips", "note": note, "shown": items}]


def _tables(key: str, title: str, tables: Sequence[dict[str, Any]], note: str) -> dict[str, Any]:
    return {"key": key, "title": title, "note": note, "tables": [{"text": 1, **one} for one in tables]}


def _of_behaviours(report: RecordingsReport) -> list[dict[str, Any]]:
    header = (
        "behaviour", "true bouts", "found", "F1 of bouts", "AP of bouts", "precision (time)", "recall (time)",
        "F1 (time)", "kappa",
    )  # fmt: skip
    rows = [
        (
            row.label,
            row.true_bouts,
            row.found_bouts,
            _figure(row.f1_at_50),
            _figure(row.ap_at_50),
            _number(row.precision),
            _number(row.recall),
            _figure(row.f1),
            _number(row.kappa),
        )
        for row in report.per_class
    ]
    return [{"title": "", "header": header, "rows": rows}]


def _of_recordings(report: RecordingsReport) -> list[dict[str, Any]]:
    header = (
        "recording", "minutes", "true bouts", "found", "F1 of bouts", "edit", "accuracy", "kappa",
        "frames right", "as expected",
    )  # fmt: skip
    rows = [
        (
            row.recording,
            f"{row.known_s / 60:.1f}",
            row.true_bouts,
            row.found_bouts,
            *map(_number, (row.f1_at_50, row.edit, row.accuracy, row.kappa)),
            *map(_number, (row.frame_accuracy, row.expected_frame_accuracy)),
        )
        for row in report.recordings
    ]
    return [{"title": "", "header": header, "rows": rows}]


def _budget(report: RecordingsReport) -> list[dict[str, Any]]:
    header = ("behaviour", "bouts, annotated", "predicted", "seconds, annotated", "predicted", "difference")
    tables = []
    names = list(dict.fromkeys(row.recording for row in report.budget))
    for title, wanted in [("All recordings", names), *([(name, [name]) for name in names] if len(names) > 1 else [])]:
        rows = []
        for label in report.labels:
            own = [row for row in report.budget if row.label == label and row.recording in wanted]
            true_s, found_s = sum(row.true_s for row in own), sum(row.found_s for row in own)
            counts = (sum(row.true_count for row in own), sum(row.found_count for row in own))
            rows.append((label, *counts, f"{true_s:.1f}", f"{found_s:.1f}", _signed(found_s - true_s, 1)))
        tables.append({"title": title, "header": header, "rows": rows})
    return tables[:11]


def _of_classes(report: EvaluationReport) -> list[dict[str, Any]]:
    rows = []
    for place, row in enumerate(report.per_class):
        others = [(count, -other) for other, count in enumerate(report.confusion[place]) if other != place and count]
        count, other = max(others, default=(0, 0))
        taken = f"{report.labels[-other]} ({count})" if count else ""
        rows.append((row.label, row.support, *map(_number, (row.recall, row.precision, row.f1)), taken))
    header = ("class", "videos", "recall", "precision", "F1", "mostly taken for")
    return [{"title": "", "header": header, "rows": rows}]


def _figure(one: Figure) -> str:
    interval = "" if math.isnan(one.low) else f" ({one.low:.2f} to {one.high:.2f})"
    return _number(one.value) + interval


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _signed(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else f"{value:+.{digits}f}"
