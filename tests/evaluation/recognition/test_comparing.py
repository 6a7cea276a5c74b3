from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames
from tests.evaluation.recognition.annotated import write_recordings

from lrcn.data.recognition.readers import RecognitionData, RecognitionExample
from lrcn.errors import DataError
from lrcn.evaluation.recognition.comparing import Comparison, Difference, compare
from lrcn.evaluation.recognition.recordings import evaluate_recordings
from lrcn.evaluation.recognition.report import EvaluationReport, VideoPrediction, evaluate_recognition
from lrcn.inference.recognition.predictor import Recognizer


@pytest.fixture(scope="module")
def rec(tiny_model: Path) -> Recognizer:
    return Recognizer.load(tiny_model, device="cpu")


def test_a_model_is_no_better_than_itself_and_than_another_by_what_their_scores_say(
    rec: Recognizer, make_clip: MakeClip, tmp_path: Path
) -> None:
    path = write_recordings(tmp_path, make_clip)
    report = evaluate_recordings(rec, path)
    same = compare(report, report)
    assert (same.drawn, same.number) == ("recordings", 2)
    assert {(one.difference, one.low, one.high) for one in same.differences if not math.isnan(one.first)} == {(0, 0, 0)}
    turned = Recognizer(replace(rec.header, labels=("wave", "jump", "walk")), rec.runtime)  # wrong where it was right
    other = evaluate_recordings(turned, path)
    with pytest.raises(DataError, match="same behaviours"):
        compare(report, other)
    other = replace(other, labels=report.labels)
    found = {one.score: one for one in compare(report, other).differences}
    pairs = [[row.accuracy for row in one.recordings] for one in (report, other)]
    assert found["accuracy"].difference == pytest.approx(np.mean(pairs[0]) - np.mean(pairs[1]))
    each = sorted(np.subtract(*pairs))
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx(each)


def clips_report(report: EvaluationReport, rows: list[tuple[str, int]]) -> EvaluationReport:
    predictions = tuple(
        VideoPrediction(f"{i}.avi", 0.0, None, "walk", "walk", 0.5, 0.5, rank, group=group)
        for i, (group, rank) in enumerate(rows)
    )
    return replace(report, predictions=predictions)


def test_videos_are_drawn_by_their_groups(rec: Recognizer, make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", textured_frames(9, 40, 56), 10)
    report = evaluate_recognition(
        rec, RecognitionData(rec.labels, (RecognitionExample(clip, "walk", "test", group="g"),), "one")
    )
    assert report.predictions[0].group == "g"
    groups = ["a", "a", "a", "b", "c", "c"]
    first = clips_report(report, list(zip(groups, [1, 1, 1, 2, 1, 2], strict=True)))
    second = clips_report(report, list(zip(groups, [2, 2, 1, 2, 2, 2], strict=True)))
    found = compare(first, second)
    assert (found.drawn, found.number) == ("groups", 3)
    top1 = found.differences[0]
    assert (top1.score, top1.first, top1.second) == ("top1", pytest.approx(4 / 6), pytest.approx(1 / 6))
    # all drawings of three of the groups: differences and sizes of a, b, c
    drawn = [
        sum((2, 0, 1)[i] for i in places) / sum((3, 1, 2)[i] for i in places)
        for places in np.ndindex(3, 3, 3)
    ]  # fmt: skip
    assert top1.low == min(drawn)  # b alone is drawn once in 27 times, more than 2.5 %
    assert top1.high == pytest.approx(max(drawn))
    with pytest.raises(DataError, match="same videos"):
        compare(first, clips_report(report, [("a", 1)]))


def test_words_are_said_where_there_is_enough_to_say_them(tmp_path: Path) -> None:
    def told(score: str, difference: float, low: float, high: float, number: int = 9) -> str:
        one = Difference(score, 0.5 + difference, 0.5, difference, low, high)
        comparison = Comparison({"name": "a"}, {"name": "b"}, "recordings", number, (one,))
        comparison.save(tmp_path / "comparison.csv")
        with (tmp_path / "comparison.csv").open() as file:
            (row,) = csv.DictReader(file)
        assert row["first is"] == comparison.verdict(one)
        assert comparison.to_dict()["differences"][0]["low"] == (None if math.isnan(low) else low)
        return comparison.verdict(one)

    assert told("edit", 0.2, 0.1, 0.3) == "better"
    assert told("edit", -0.2, -0.3, -0.1) == "worse"
    assert told("calibration_error", -0.2, -0.3, -0.1) == "better"
    assert told("edit", 0.2, -0.1, 0.3) == told("edit", 0.2, math.nan, math.nan) == "no clear difference"
    assert told("bouts_per_true_bout", 0.2, 0.1, 0.3) == ""
    assert told("edit", 0.2, 0.1, 0.3, number=2) == "too few recordings to tell"
