from __future__ import annotations

import csv
import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from tests.conftest import MakeClip
from tests.evaluation.recognition.annotated import ROWS, SECONDS, write_recordings

from lrcn.annotations.formats import read_annotations
from lrcn.bouts import BACKGROUND, Recording
from lrcn.config import BoutSettings
from lrcn.data.recognition.readers import RecognitionData, read_recognition_data
from lrcn.errors import DataError
from lrcn.evaluation.evaluating import evaluate
from lrcn.evaluation.recognition.recording_report import SCORES, RecordingsReport
from lrcn.evaluation.recognition.recordings import evaluate_recordings
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.metrics.recording_pairs import Pair
from lrcn.metrics.temporal import temporal_scores

LOOSE = BoutSettings(
    smooth_s=0.0, thresholds=(0.3,) * 3, low_thresholds=(0.2,) * 3, shortest_s=(0.1,) * 3, longest_gap_s=(0.0,) * 3
)


@pytest.fixture(scope="module")
def rec(tiny_model: Path) -> Recognizer:
    loaded = Recognizer.load(tiny_model, device="cpu")
    return Recognizer(replace(loaded.header, bouts=LOOSE), loaded.runtime, name="tiny")


@pytest.fixture(scope="module")
def annotations(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"), make_clip)


@pytest.fixture(scope="module")
def report(rec: Recognizer, annotations: Path) -> RecordingsReport:
    found = evaluate(rec, annotations)
    assert isinstance(found, RecordingsReport)
    return found


def shown_at(name: str, time_s: float) -> str:
    return next((label for label, start_s, end_s in ROWS[name] if start_s <= time_s < end_s), BACKGROUND)


def test_bouts_are_those_of_the_recognizer_and_scores_those_of_the_pairs(
    rec: Recognizer, annotations: Path, report: RecordingsReport
) -> None:
    truths = read_annotations(annotations).recordings
    pairs = [
        Pair(replace(truth, duration_s=SECONDS), Recording(truth.name, truth.path, rec.find_bouts(truth.path).bouts))
        for truth in truths
    ]
    expected = temporal_scores(pairs, rec.labels)
    assert [view.pair.other.bouts for view in report.views] == [pair.other.bouts for pair in pairs]
    assert {name: one.value for name, one in report.scores.items() if name.startswith(("map", "f1"))} == {
        **{f"map_at_{iou}": value for iou, value in expected.map_at.items()},
        **{f"f1_at_{iou}": value for iou, value in expected.f1_at.items()},
    }
    assert 0 < report.scores["f1_at_0.1"].value < 1  # or the test could not fail
    assert report.scores["edit"].value == expected.edit
    assert report.scores["bouts_per_true_bout"].value == expected.bouts_per_true_bout
    for row in report.per_class:
        own = expected.classes[row.label]
        assert (row.true_bouts, row.found_bouts, row.recall) == (own.true_bouts, own.found_bouts, own.recall)
        assert row.ap_at_50.value == pytest.approx(own.ap[0.5], nan_ok=True)
    assert list(report.scores) == list(SCORES)


def test_ticks_and_frames_are_those_counted_one_by_one(rec: Recognizer, report: RecordingsReport) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    frames = []
    for name, view in zip(ROWS, report.views, strict=True):
        for tick in range(60):
            time_s = tick / 10 + 0.05
            said = [bout.label for bout in view.pair.other.bouts if bout.start_s <= time_s < bout.end_s]
            counts[shown_at(name, time_s), said[0] if said else BACKGROUND] += 1
        for probs, time_s in zip(view.found.probs, view.found.borders_s, strict=False):
            frames.append((float(probs.max()), rec.labels[probs.argmax()] == shown_at(name, time_s + 0.05)))
    names = [*report.labels, BACKGROUND]
    assert report.known_s == pytest.approx(2 * SECONDS)
    expected = [[counts[true, said] / 10 for said in names] for true in names]
    np.testing.assert_allclose(report.confusion_s, expected)
    pairs = list(counts.elements())
    kappa = cohen_kappa_score(*zip(*pairs, strict=True))
    assert report.scores["kappa"].value == pytest.approx(kappa)
    assert report.scores["accuracy"].value == pytest.approx(np.mean([true == said for true, said in pairs]))

    said, right = np.array([one[0] for one in frames]), np.array([one[1] for one in frames])
    assert report.scores["frame_accuracy"].value == pytest.approx(right.mean())
    assert report.scores["expected_frame_accuracy"].value == pytest.approx(said.mean())
    places = np.ceil(said * 15)
    error = sum(abs(said[places == place].sum() - right[places == place].sum()) for place in set(places.tolist()))
    assert report.scores["calibration_error"].value == pytest.approx(error / len(frames), abs=1e-6)
    assert sum(one.count for one in report.reliability) == len(frames)


def test_intervals_are_by_recording(report: RecordingsReport) -> None:
    """Of two recordings every drawing is one of three: both, or one of them twice."""
    for name in ("accuracy", "edit"):
        single = sorted(getattr(row, name) for row in report.recordings)
        assert (report.scores[name].low, report.scores[name].high) == pytest.approx(single)


def test_the_time_budget_compares_both(report: RecordingsReport) -> None:
    row = next(row for row in report.budget if (row.recording, row.label) == ("mouse0.avi", "wave"))
    own = [bout for bout in report.views[0].pair.other.bouts if bout.label == "wave"]
    assert (row.true_count, row.true_s, row.true_latency_s) == (1, pytest.approx(2.1), 2.0)
    assert row.true_percent == pytest.approx(100 * 2.1 / SECONDS)
    assert (row.found_count, row.found_s) == (len(own), pytest.approx(sum(bout.duration_s for bout in own)))


def test_who_was_watched_and_did_nothing_changes_no_score(
    rec: Recognizer, annotations: Path, report: RecordingsReport
) -> None:
    data = read_recognition_data(annotations)
    idle = with_recordings(data, *(replace(one, idle_subjects=("zoe",)) for one in data.recordings))
    found = evaluate_recordings(rec, idle)
    assert found.budget == report.budget
    assert found.scores == report.scores


def test_saved_files_say_the_same(report: RecordingsReport, tmp_path: Path) -> None:
    paths = {path.name: path for path in report.save(tmp_path / "out")}
    saved = json.loads(paths["report.json"].read_text())
    assert saved == json.loads(report.to_json())
    assert (saved["of"], saved["num_recordings"], "views" in saved) == ("recordings", 2, False)
    assert saved["scores"]["edit"]["value"] == report.scores["edit"].value
    found = read_annotations(paths["bouts.csv"]).recordings
    assert [one.bouts for one in found] == [view.pair.other.bouts for view in report.views]
    tables = {}
    for name, path in paths.items():
        if name.endswith(".csv"):
            with path.open() as file:
                tables[name] = list(csv.DictReader(file))
    assert [row["label"] for row in tables["per_class.csv"]] == list(report.labels)
    assert float(tables["per_class.csv"][0]["f1_low"]) == pytest.approx(report.per_class[0].f1.low, rel=1e-4)
    assert [row["recording"] for row in tables["recordings.csv"]] == list(ROWS)
    assert len(tables["scores.csv"]) == len(SCORES)
    assert len(tables["time_budget.csv"]) == 6
    assert len(tables["confusion.csv"]) == 4


def test_of_a_recording_in_several_splits_only_the_stretch_is_looked_at(
    rec: Recognizer, make_clip: MakeClip, tmp_path: Path
) -> None:
    bouts = [(("walk", "wave", "jump")[i % 3], 0.2 + 0.55 * i, 0.6 + 0.55 * i) for i in range(10)]
    path = write_recordings(tmp_path, make_clip, {"one.avi": bouts})
    path.write_text(path.read_text().replace(",test,all", ",,all"))
    data = read_recognition_data(path)
    (stretch,) = [recording for recording in data.recordings if recording.split == "test"]
    assert stretch.looked_at is not None
    found = evaluate_recordings(rec, data)
    (view,) = found.views
    assert found.known_s == pytest.approx(stretch.looked_at[0][1] - stretch.looked_at[0][0], abs=0.11)
    assert view.found.borders_s[0] == pytest.approx(stretch.looked_at[0][0], abs=0.1)
    assert view.found.borders_s[-1] <= stretch.looked_at[-1][1] + 0.1
    assert math.isnan(found.scores["edit"].low)  # one recording has no interval


def test_two_regions_of_a_video_are_two_recordings(rec: Recognizer, make_clip: MakeClip, tmp_path: Path) -> None:
    path = write_recordings(tmp_path, make_clip, {"one.avi": [("walk", 0.5, 2.0)]})
    rows = ["path,label,start_s,end_s,split,looked_at,recording,roi"]
    regions = {"left": (0, 0, 40, 72), "right": (40, 0, 40, 72)}
    rows += [f"one.avi,walk,0.5,2.0,test,all,{name},{' '.join(map(str, roi))}" for name, roi in regions.items()]
    path.write_text("\n".join(rows) + "\n")
    found = evaluate_recordings(rec, path)
    assert [view.pair.truth.name for view in found.views] == list(regions)
    for view, roi in zip(found.views, regions.values(), strict=True):
        assert view.pair.other.bouts == rec.find_bouts(tmp_path / "one.avi", roi=roi).bouts
    assert not np.array_equal(found.views[0].found.probs, found.views[1].found.probs)
    saved = read_annotations(found.save(tmp_path / "out")[5]).recordings
    assert [one.roi for one in saved] == list(regions.values())


def with_recordings(data: RecognitionData, *recordings: Recording) -> RecognitionData:
    return replace(data, recordings=recordings)


def test_what_the_model_does_not_know_is_missed(rec: Recognizer, annotations: Path) -> None:
    data = read_recognition_data(annotations)
    first, second = data.recordings
    renamed = replace(first, bouts=tuple(replace(bout, label="rear") for bout in first.bouts))
    report = evaluate_recordings(rec, with_recordings(data, renamed, second))
    assert report.labels == (*rec.labels, "rear")
    assert report.warnings == ("'rear' is annotated and the model does not know it: all its bouts are missed",)
    assert (report.per_class[-1].recall, report.per_class[-1].true_bouts) == (0.0, 3)
    with pytest.raises(DataError, match="unknown behaviour 'rear'"):
        evaluate_recordings(rec, with_recordings(data, renamed))


def test_what_was_not_annotated_counts_in_no_score(rec: Recognizer, annotations: Path) -> None:
    data = read_recognition_data(annotations)
    first, second = data.recordings
    nothing = replace(second, bouts=(), looked_at=())
    report = evaluate_recordings(rec, with_recordings(data, first, nothing))
    assert report.num_recordings == 1
    assert report.warnings == ("mouse1.avi: nothing of it is annotated, so that it counts in no score",)
    partly = replace(first, looked_at=None)
    report = evaluate_recordings(rec, with_recordings(data, partly))
    assert report.known_s == pytest.approx(1.5 + 2.1 + 0.6)
    assert sum(report.confusion_s[-1]) == 0  # nowhere is it known that nothing was shown


def test_classes_at_once_are_judged_each_by_itself(rec: Recognizer, annotations: Path) -> None:
    header = replace(rec.header, model=replace(rec.header.model, multi_label=True))
    several = Recognizer(header, rec.runtime)
    report = evaluate_recordings(several, annotations)
    assert report.confusion_s == ()
    said = np.concatenate([view.found.probs.ravel() for view in report.views])
    shown = np.array([
        shown_at(name, time_s + 0.05) == label
        for name, view in zip(ROWS, report.views, strict=True)
        for time_s in view.found.borders_s[:-1]
        for label in rec.labels
    ])  # fmt: skip
    assert report.scores["frame_accuracy"].value == pytest.approx(((said >= 0.5) == shown).mean())
    assert report.scores["expected_frame_accuracy"].value == pytest.approx(np.maximum(said, 1 - said).mean(), rel=1e-5)
    assert sum(one.count for one in report.reliability) == len(said)


def test_an_unreadable_recording_is_listed(rec: Recognizer, make_clip: MakeClip, tmp_path: Path) -> None:
    path = write_recordings(tmp_path, make_clip)
    (tmp_path / "mouse1.avi").write_bytes(b"no video")
    report = evaluate_recordings(rec, path)
    assert report.num_recordings == 1
    (failure,) = report.failures
    assert "mouse1.avi" in failure.message
    with pytest.raises(DataError, match="no recording is in split 'val'; there are: test"):
        evaluate_recordings(rec, path, split="val")
