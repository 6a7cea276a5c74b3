"""What the check of a caption data set finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main


def build(folder: Path, rows: list[str], num_pictures: int = 6) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(num_pictures):
        Image.fromarray(textured_frames(1, 20, 30, seed=i)[0]).save(folder / f"{i}.png")
    (folder / "captions.csv").write_text("\n".join(["path,caption,split", *rows]) + "\n")
    return folder


GOOD = [f"{i}.png,a dog runs,{split}" for i, split in enumerate(("train", "train", "train", "train", "val", "test"))]


def report_of(folder: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict]:
    code = main(["data", "check", str(folder), "--json", *flags])
    return code, json.loads(capsys.readouterr().out)


def test_counts_of_a_sound_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = build(tmp_path / "set", [*GOOD, "0.png,a dog runs fast,train"])
    code, report = report_of(folder, capsys)
    assert code == 0
    assert report["ok"] is True
    assert report["num_files"] == 6
    assert report["counts"]["train"] == {"files": 4, "captions": 5, "words": 16, "unknown_share": 1 / 16}
    assert report["vocabulary_size"] == 3
    assert [problem["text"] for problem in report["problems"]] == [
        "train: 6% of the words occur fewer than 5 times in training captions"
    ]
    assert main(["data", "check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "set: 6 files, 3 words that training sees often enough"
    assert lines[2].split() == ["train", "4", "5", "3.2", "6.2%"]


def test_faults_of_files_and_splits(tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]) -> None:
    folder = build(tmp_path / "set", [])
    (folder / "4.png").write_bytes((folder / "0.png").read_bytes())
    (folder / "1.png").write_bytes(b"no picture")
    make_clip(folder / "v.avi", textured_frames(10, 20, 30), 10)
    rows = [f"{line},," for line in GOOD]
    rows += ["v.avi,a cat sleeps,train,0,0.5", "v.avi,a cat wakes up,test,0.5,1", "v.avi,a cat leaves,train,5,6"]
    rows.append(f"0.png,{' '.join(['very'] * 25)} long,train,,")
    (folder / "captions.csv").write_text("\n".join(["path,caption,split,start_s,end_s", *rows]))
    code, report = report_of(folder, capsys)
    assert code == 1
    errors = [problem["text"] for problem in report["problems"] if problem["severity"] == "error"]
    assert any("1.png" in text for text in errors)
    assert any("v.avi: parts of it in test and train" in text for text in errors)
    assert any("starts at 5 s, but the video ends at 1.00 s" in text for text in errors)
    assert any("0.png" in text and "4.png" in text and "in train and val" in text for text in errors)
    warnings = [problem["text"] for problem in report["problems"] if problem["severity"] == "warning"]
    assert any("captions have more than 19 words (most: 26)" in text for text in warnings)


def test_bad_rows_are_listed_one_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = build(tmp_path / "set", [*GOOD, "0.png,,train", "9.png,a dog,train", "1.png,a dog,test"])
    assert main(["data", "check", str(folder)]) == 1
    *errors, remedy = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("lrcn: error: captions.csv line ") for line in errors)
    assert remedy == "lrcn: mend these rows, or leave them out with --skip-missing"
    assert main(["data", "check", str(folder), "--format", "karpathy"]) == 1
