from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import MakeClip, textured_frames
from tests.evaluation.recognition.annotated import ROWS, write_recordings

from lrcn.cli import main
from lrcn.config import RecognitionHeader
from lrcn.model_file.storage import save
from lrcn.models.recognition import RecognitionModel


@pytest.fixture(scope="module")
def other_model(tiny: tuple[RecognitionHeader, RecognitionModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    header, network = tiny
    weights = {
        name: values * (0.5 if name == "classifier.weight" else 1) for name, values in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    save(path, replace(header, sha256=""), weights)
    return path


def evaluate(*arguments: str | Path) -> int:
    return main(["evaluate", *map(str, arguments), "--device", "cpu"])


def test_recordings_are_scored_by_bouts_and_what_cannot_be_read_is_listed(
    tiny_model: Path, other_model: Path, make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {**ROWS, "broken.avi": [("walk", 0.0, 1.0)]}
    annotations = write_recordings(tmp_path, make_clip, rows)
    (tmp_path / "broken.avi").write_bytes(b"no video")
    out = tmp_path / "out"
    assert evaluate(tiny_model, annotations, "--output", out, "--compare", other_model) == 3
    said = capsys.readouterr()
    assert "annotations.csv, split test: 2 recordings, 0.2 minutes" in said.out
    assert "Cohen's kappa" in said.out
    assert "against other, on the same 2 recordings" in said.out
    assert "broken.avi" in said.err
    assert "1 of 3 recordings failed; the others are done" in said.err
    assert {path.name for path in out.iterdir()} == {
        "report.json", "scores.csv", "per_class.csv", "recordings.csv", "time_budget.csv", "bouts.csv", "confusion.csv",
        "comparison.csv", "index.html",
    }  # fmt: skip
    with (out / "comparison.csv").open() as file:
        rows_of = {row["score"]: row for row in csv.DictReader(file)}
    page = (out / "index.html").read_text()
    assert f"{float(rows_of['kappa']['second']):.2f}" in page
    assert "Not read, and in no score" in page

    assert evaluate(tiny_model, annotations, "--json", "--compare", other_model) == 3
    printed = json.loads(capsys.readouterr().out)
    assert printed["scores"] == json.loads((out / "report.json").read_text())["scores"]
    assert printed["compared"]["number"] == 2


def test_clips_have_a_page_and_a_comparison_too(
    tiny_model: Path, other_model: Path, make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["path,label,split"]
    for number in range(4):
        make_clip(tmp_path / f"{number}.avi", textured_frames(9, 40, 56, seed=number), 10)
        rows.append(f"{number}.avi,{('walk', 'wave')[number % 2]},test")
    (tmp_path / "annotations.csv").write_text("\n".join(rows) + "\n")
    out = tmp_path / "out"
    assert evaluate(tiny_model, tmp_path, "--output", out, "--compare", other_model) == 0
    assert "against other, on the same 4 groups" in capsys.readouterr().out
    assert {"index.html", "report.json", "comparison.csv"} <= {path.name for path in out.iterdir()}


def test_captioning_models_are_not_compared(tiny_caption_model: Path, tmp_path: Path) -> None:
    assert evaluate(tiny_caption_model, tmp_path, "--compare", "demo") == 2


def test_a_folder_of_classes_is_scored_without_a_word_about_validation(
    tiny_model: Path, make_clip: MakeClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A clip of each class leaves none to hold out, which only a training has need of."""
    for number, label in enumerate(("walk", "wave")):
        (tmp_path / label).mkdir()
        make_clip(tmp_path / label / "one.avi", textured_frames(8, 24, 32, seed=number))
    assert evaluate(tiny_model, tmp_path) == 0
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"{tmp_path.name} has no splits: all 2 clips are scored; ")
    assert "2 videos" in said.out
    assert evaluate(tiny_model, tmp_path, "--split", "train") == 0
    assert "no clip for validation" in capsys.readouterr().err
