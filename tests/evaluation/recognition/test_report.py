from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.cli.terminal import print_report, results_console
from lrcn.config import Calibration
from lrcn.data.recognition.readers import RecognitionData, RecognitionExample
from lrcn.errors import ConfigError, DataError
from lrcn.evaluation.evaluating import evaluate
from lrcn.evaluation.recognition.report import EvaluationReport
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.metrics.classification import wilson_interval


@pytest.fixture(scope="module")
def rec(tiny_model: Path) -> Recognizer:
    return Recognizer.load(tiny_model, device="cpu")


@pytest.fixture(scope="module")
def data_dir(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three test videos a class, one of which is no video, and an annotated part."""
    root = tmp_path_factory.mktemp("data")
    rows = ["path,label,split,start_s,end_s"]
    for number, label in enumerate(["walk", "wave", "jump"] * 3):
        name = f"{label}_{number}.avi"
        make_clip(root / name, textured_frames(9, 40, 56, seed=number), 10)
        rows.append(f"{name},{label},test,,")
    (root / "walk_0.avi").write_bytes(b"no video")
    rows.append("wave_1.avi,jump,test,0.2,0.7")
    make_clip(root / "seen.avi", textured_frames(9, 40, 56, seed=99), 10)
    rows.append("seen.avi,wave,val,,")
    (root / "annotations.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def report(rec: Recognizer, data_dir: Path) -> EvaluationReport:
    return evaluate(rec, data_dir)


def test_evaluating_a_file_gives_the_numbers_of_recognising_it(rec: Recognizer, report: EvaluationReport) -> None:
    for row in report.predictions:
        result = rec(row.path, start_s=row.start_s, end_s=row.end_s)
        assert (row.predicted, row.prob) == (result.label, result.top[0].prob)
        assert row.label_prob == result.probs[rec.labels.index(row.label)]


def test_scores_are_those_counted_by_hand(report: EvaluationReport) -> None:
    right = [row.predicted == row.label for row in report.predictions]
    assert 0 < sum(right) < len(right)  # or the test could not fail
    assert report.num_videos == len(right) == 9
    assert report.top1 == pytest.approx(np.mean(right))
    assert report.top1_interval == wilson_interval(sum(right), 9)
    assert report.top5 == 1.0  # there are three classes
    assert [row.rank == 1 for row in report.predictions] == right
    by_class = {label: [r for r, row in zip(right, report.predictions, strict=True) if row.label == label]
                for label in report.labels}  # fmt: skip
    assert report.mean_class_accuracy == pytest.approx(np.mean([np.mean(each) for each in by_class.values()]))
    for row in report.per_class:
        assert (row.support, row.recall) == (len(by_class[row.label]), pytest.approx(np.mean(by_class[row.label])))
    assert np.trace(report.confusion) == sum(right)
    assert np.sum(report.confusion) == 9


def test_calibration_and_what_is_unknown_are_reported(
    rec: Recognizer, report: EvaluationReport, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (report.num_unknown, report.top1_known) == (0, report.top1)
    said = np.array([row.prob for row in report.predictions])
    right = np.array([row.predicted == row.label for row in report.predictions])
    assert sum(one.count for one in report.reliability) == 9
    of_bins = [np.abs(said[own].sum() - right[own].sum()) for one in report.reliability
               if (own := (one.low < said) & (said <= one.high)).any()]  # fmt: skip
    assert report.calibration_error == pytest.approx(sum(of_bins) / 9)

    level = float(np.median(said))
    calibration = Calibration(unknown_below=level)
    judged = evaluate(Recognizer(replace(rec.header, calibration=calibration), rec.runtime), data_dir)
    assert judged.top1 == report.top1
    assert judged.num_unknown == (said < level).sum() > 0
    assert judged.top1_known == pytest.approx(right[said >= level].mean())
    assert [row.known for row in judged.predictions] == (said >= level).tolist()
    print_report(results_console(), judged)
    assert f"unknown              {judged.num_unknown / 9:.1%}" in capsys.readouterr().out


def test_unreadable_video_is_listed_and_counts_in_no_score(report: EvaluationReport) -> None:
    (failure,) = report.failures
    assert Path(failure.path).name == "walk_0.avi"
    assert "walk_0.avi" in failure.message


def test_annotated_part_is_judged_by_its_own_frames(rec: Recognizer, report: EvaluationReport, data_dir: Path) -> None:
    (part,) = [row for row in report.predictions if row.end_s == 0.7]
    assert part.label == "jump"
    assert part.prob == rec(data_dir / "wave_1.avi", start_s=0.2, end_s=0.7).top[0].prob


def test_saved_report_holds_the_same_in_every_file(report: EvaluationReport, tmp_path: Path) -> None:
    paths = report.save(tmp_path / "new")
    assert [path.name for path in paths] == ["report.json", "per_class.csv", "confusion.csv", "predictions.csv"]
    saved = json.loads(paths[0].read_text())
    assert saved == json.loads(report.to_json())
    assert (saved["schema"], saved["task"], saved["split"], saved["top1"]) == (1, "recognition", "test", report.top1)

    with paths[1].open() as file:
        assert [row["f1"] for row in csv.DictReader(file)] == [str(row.f1) for row in report.per_class]
    with paths[2].open() as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [row[0] for row in rows] == list(report.labels)
    assert [[int(cell) for cell in row[1:]] for row in rows] == [list(row) for row in report.confusion]
    with paths[3].open() as file:
        assert [row["predicted"] for row in csv.DictReader(file)] == [row.predicted for row in report.predictions]


def test_progress_reaches_the_end(rec: Recognizer, data_dir: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate(rec, data_dir, split="val", on_progress=lambda *said: seen.append(said))
    assert seen == [("val videos", 0, 1), ("val videos", 1, 1)]


def test_a_file_is_loaded_as_told_and_says_the_same(tiny_model: Path, rec: Recognizer, data_dir: Path) -> None:
    expected = evaluate(rec, data_dir, split="val")
    assert evaluate(tiny_model, data_dir, split="val", device="cpu", batch_size=3).top1 == expected.top1
    with pytest.raises(ConfigError, match="cuda:99"):
        evaluate(tiny_model, data_dir, device="cuda:99")


def test_what_is_for_others_is_refused(rec: Recognizer, data_dir: Path) -> None:
    with pytest.raises(ConfigError, match="this one has its own"):
        evaluate(rec, data_dir, device="cpu")
    with pytest.raises(ConfigError, match="retrieval_limit is not for recognition models"):
        evaluate(rec, data_dir, retrieval_limit=3)


def data_of(*examples: tuple[Path, str]) -> RecognitionData:
    made = tuple(RecognitionExample(path, label, "test") for path, label in examples)
    return RecognitionData(tuple(sorted({label for _, label in examples})), made, "toy")


def test_class_that_the_model_does_not_know_is_refused_before_any_video_is_read(rec: Recognizer) -> None:
    data = data_of((Path("missing.avi"), "wavee"), (Path("missing.avi"), "zap"))
    expected = (
        "toy: unknown class 'wavee'; did you mean 'wave'? choices: walk, wave, jump (1 more classes are unknown); "
        "evaluate a model that was trained on these classes"
    )
    with pytest.raises(DataError) as caught:
        evaluate(rec, data)
    assert str(caught.value) == expected


def test_classes_without_examples_do_not_lower_the_class_mean(rec: Recognizer, clip20: Path) -> None:
    right = rec(clip20).label
    report = evaluate(rec, data_of((clip20, right)))
    assert (report.top1, report.mean_class_accuracy) == (1.0, 1.0)
    assert sorted(row.support for row in report.per_class) == [0, 0, 1]


def test_data_set_without_a_readable_video_or_split_is_refused(rec: Recognizer, data_dir: Path) -> None:
    broken = data_of((data_dir / "walk_0.avi", "walk"))
    with pytest.raises(DataError, match=r"toy: none of the 1 videos of split 'test' can be read: .*walk_0\.avi"):
        evaluate(rec, broken)
    with pytest.raises(DataError, match=r"no 'train' split"):
        evaluate(rec, broken, split="train")


def test_a_data_set_without_splits_is_scored_whole(rec: Recognizer, clip20: Path, tmp_path: Path) -> None:
    for label in rec.labels[:2]:
        for number in range(3):
            target = tmp_path / label / f"{number}.mkv"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(clip20.read_bytes())
    report = evaluate(rec, tmp_path)
    assert (report.num_videos, report.split) == (6, "all")
    assert evaluate(rec, tmp_path, split="val").num_videos == 2
