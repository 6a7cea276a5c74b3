from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main


@pytest.fixture
def data(make_clip: MakeClip, tmp_path: Path) -> Path:
    root = tmp_path / "data"
    rows = ["path,label,split"]
    root.mkdir()
    for number, (label, split) in enumerate((la, sp) for sp in ("train", "val", "test") for la in ("walk", "wave")):
        make_clip(root / f"{number}.avi", textured_frames(12, 32, 48, seed=number), 10)
        rows.append(f"{number}.avi,{label},{split}")
    (root / "annotations.csv").write_text("\n".join(rows) + "\n")
    return root


def test_check_counts_clips_by_class_and_split(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(data)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["data:", "6", "videos"]
    assert lines[1:5] == [
        ["class", "train", "val", "test"],
        ["walk", "1", "1", "1"],
        ["wave", "1", "1", "1"],
        ["all", "classes", "2", "2", "2"],
    ]


def test_check_finds_what_cannot_be_decoded(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "0.avi").write_bytes(b"no video")
    assert main(["data", "check", str(data), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert "0.avi" in report["problems"][0]["text"]


def test_check_lists_every_bad_row(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (data / "annotations.csv").open("a") as file:
        file.write("nowhere.avi,walk,train\nelsewhere.avi,wave,train\n")
    assert main(["data", "check", str(data)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.split()[-3] for line in errors] == ["nowhere.avi", "elsewhere.avi"]
    assert main(["data", "check", str(data), "--skip-missing"]) == 0


def test_a_damaged_file_of_captions_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captions = tmp_path / "captions_train.json"
    captions.write_text('{"images": [],\n"annotations": [{]}')
    for command in (["data", "check"], ["evaluate", "demo"]):
        assert main([*command, str(captions)]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"lrcn: error: {captions} line 2: no JSON: ")
        assert said.count("\n") == 1
