from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import MakeClip
from tests.evaluation.recognition.annotated import ROWS, write_recordings

from lrcn.bouts import BACKGROUND, Bout
from lrcn.evaluation.recognition.examples_shown import recording_errors, recording_looks
from lrcn.evaluation.recognition.recording_report import RecordingsReport
from lrcn.evaluation.recognition.recordings import evaluate_recordings
from lrcn.evaluation.recognition.timelines import MOST_TIMELINES, clock, timelines
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.metrics.recording_pairs import Pair


@pytest.fixture(scope="module")
def report(tiny_model: Path, make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> RecordingsReport:
    annotations = write_recordings(tmp_path_factory.mktemp("recordings"), make_clip)
    return evaluate_recordings(Recognizer.load(tiny_model, device="cpu"), annotations)


def with_found(report: RecordingsReport, *bouts: Bout) -> RecordingsReport:
    """Return the report as if these had been found in the first recording, and nothing in the second."""
    views = tuple(
        view._replace(pair=Pair(view.pair.truth, replace(view.pair.other, bouts=found)))
        for view, found in zip(report.views, (bouts, ()), strict=True)
    )
    return replace(report, views=views)


FOUND = (Bout("walk", 0.0, 3.1, prob=0.9), Bout("jump", 3.1, 4.1, prob=0.8), Bout("jump", 5.0, 5.5, prob=0.7))


def label_at(bouts: list[tuple[str, float, float]], time_s: float) -> str:
    return next((label for label, start_s, end_s in bouts if start_s <= time_s < end_s), BACKGROUND)


def test_errors_are_the_runs_of_ticks_that_differ_the_longest_first(report: RecordingsReport) -> None:
    said = {"mouse0.avi": [(bout.label, bout.start_s, bout.end_s) for bout in FOUND], "mouse1.avi": []}
    expected = []
    for name, rows in ROWS.items():
        ticks = [(label_at(rows, i / 10 + 0.05), label_at(said[name], i / 10 + 0.05)) for i in range(60)]
        for (true, found), run in itertools.groupby(ticks):
            length_s = len(list(run)) / 10
            if true != found and length_s >= 0.5:
                expected.append((f"{true}, taken for {found}", f"{length_s:.1f} s"))
    found = [(item["title"], item["text"]) for item in recording_errors(with_found(report, *FOUND))]
    assert len(found) == 5
    assert sorted(found) == sorted(expected)
    assert [item[1] for item in found] == sorted((item[1] for item in found), reverse=True)


def test_clips_to_look_at_are_right_ones_and_wrong_ones(report: RecordingsReport) -> None:
    items = recording_looks(with_found(report, *FOUND), None)
    assert [item["title"] for item in items] == ["jump (right)", "walk (wrong)", "jump (wrong)"]
    assert not any(item["mapped"] for item in items)
    curve = report.views[0].found.probs[:, report.labels.index("jump")]
    assert items[0]["probs"][0] == pytest.approx(curve[50])
    assert "annotated: jump for 0.5 of 0.5 s" in items[0]["text"]


def test_of_many_recordings_some_are_drawn_from_the_worst_to_the_best(report: RecordingsReport) -> None:
    number = 30
    many = replace(
        report,
        views=report.views[:1] * number,
        recordings=tuple(replace(report.recordings[0], f1_at_50=place / number) for place in range(number)),
    )
    told = [float(one["about"].split()[3].rstrip(",")) for one in timelines(many)]
    assert len(told) == MOST_TIMELINES
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, pytest.approx(29 / 30, abs=0.01))


def test_times_are_told_as_people_read_them() -> None:
    assert [clock(time_s) for time_s in (0.0, 59.96, 65.25, 7265.3)] == ["0:00.0", "1:00.0", "1:05.2", "2:01:05.3"]
