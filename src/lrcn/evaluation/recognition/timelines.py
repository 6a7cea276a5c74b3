"""Timelines of the page: what is annotated against what was found, recording by recording."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lrcn.bouts import Span, without
from lrcn.evaluation.recognition.figures import timeline_row
from lrcn.evaluation.recognition.recording_report import RecordingScores, RecordingsReport, RecordingView
from lrcn.metrics.recording_pairs import parts

MOST_TIMELINES = 8
"""Recordings shown; of more, some from the worst to the best by the F1 of their bouts."""

_TICKS = 5


def timelines(report: RecordingsReport) -> list[dict[str, Any]]:
    """Return the timelines as the template takes them, in the order of the recordings."""
    scored = list(zip(report.views, report.recordings, strict=True))
    if len(scored) > MOST_TIMELINES:
        ranks = sorted(range(len(scored)), key=lambda place: _score(scored[place][1]))
        places = np.linspace(0, len(ranks) - 1, MOST_TIMELINES).round().astype(int)
        scored = [scored[place] for place in sorted(ranks[rank] for rank in places)]
    return [_timeline(view, scores, report.labels) for view, scores in scored]


def _score(scores: RecordingScores) -> float:
    return -1.0 if math.isnan(scores.f1_at_50) else scores.f1_at_50


def _timeline(view: RecordingView, scores: RecordingScores, labels: tuple[str, ...]) -> dict[str, Any]:
    borders_s = view.found.borders_s
    whole = (float(borders_s[0]), float(borders_s[-1]))
    unknown = without([whole], view.known)
    truth, other = view.pair
    lanes = []
    for label in labels:
        true = [(bout.start_s, bout.end_s) for bout in truth.bouts if bout.label == label and not bout.is_point]
        found = [(bout.start_s, bout.end_s) for bout in other.bouts if bout.label == label]
        curve = view.found.probs[:, view.found.labels.index(label)] if label in view.found.labels else None
        kept = [(part.start_s, part.end_s) for part in parts(other.bouts, view.known) if part.label == label]
        told = f"{label}: annotated {_told(true)}; predicted {_told(kept)}"
        lanes.append({"label": label, "svg": timeline_row(true, found, curve, borders_s, unknown, told)})
    ticks = [clock(time_s) for time_s in np.linspace(*whole, _TICKS).tolist()]
    f1 = "-" if math.isnan(scores.f1_at_50) else f"{scores.f1_at_50:.2f}"
    about = (
        f"F1 of bouts {f1}, accuracy over time {scores.accuracy:.2f}; {scores.true_bouts} bouts annotated, "
        f"{scores.found_bouts} predicted"
    )
    return {"name": truth.name, "about": about, "lanes": lanes, "ticks": ticks}


def _told(spans: list[Span]) -> str:
    bouts = "1 bout" if len(spans) == 1 else f"{len(spans)} bouts"
    return f"{bouts}, {sum(end_s - start_s for start_s, end_s in spans):.1f} s"


def clock(time_s: float) -> str:
    """Return a time as people read it: `1:05.3`, or `2:01:05.3` from an hour on."""
    tenths = round(10 * time_s)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"
