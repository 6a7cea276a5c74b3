from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main
from lrcn.video.isolation import Isolation


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


def test_isolated_it_finds_the_same(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "0.avi").write_bytes(b"no video")
    (data / "1.avi").write_bytes((data / "1.avi").read_bytes()[:-9000])
    assert main(["data", "check", str(data)]) == 1
    here = capsys.readouterr().out
    asked = []
    chunks = Isolation.chunks
    monkeypatch.setattr(
        Isolation,
        "chunks",
        lambda self, media, *rest, **more: (asked.append(media), chunks(self, media, *rest, **more))[1],
    )
    assert main(["data", "check", str(data), "--isolate"]) == 1
    assert capsys.readouterr().out == here
    assert "1.avi" in here
    assert len(asked) == 5  # of the sixth not even the length is known


def test_check_lists_every_bad_row(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (data / "annotations.csv").open("a") as file:
        file.write("nowhere.avi,walk,train\nelsewhere.avi,wave,train\n")
    assert main(["data", "check", str(data)]) == 1
    *errors, hint = capsys.readouterr().err.splitlines()
    assert hint.endswith("--skip-missing")
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


@pytest.fixture
def recordings(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Two annotated recordings, one of them with a bout too many, one past the end and one label in two spellings."""
    rows = ["path,label,start_s,end_s,split,looked_at"]
    for number, split in enumerate(("train", "test")):
        make_clip(tmp_path / f"{number}.avi", textured_frames(60, 32, 48, seed=number), 10)
        rows += [f"{number}.avi,{label},{start_s},{start_s + 1},{split},all" for start_s, label in ((1, "a"), (3, "b"))]
    rows += ["0.avi,a,1,2,train,all", "0.avi,A,5,5.5,train,all", "1.avi,b,5,15,test,all", "2.avi,b,5,15,test,all"]
    path = tmp_path / "annotations.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_check_of_recordings_writes_clean_annotations(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in recordings.parent.iterdir()}
    fixed = recordings.parent / "fixed" / "annotations.csv"
    assert main(["data", "check", str(recordings), "--fix", str(fixed)]) == 1
    out, err = capsys.readouterr()
    assert [line.split("  ")[0] for line in out.splitlines()[:2]] == [
        "annotations.csv: 2 recordings",
        "bouts (seconds)",
    ]
    assert out.count("error: ") == 3
    assert out.count("fixed: ") == 4
    assert str(fixed) in err
    assert {path: path.read_bytes() for path in before} == before
    assert main(["data", "check", str(fixed), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    amounts = [amounts for split in ("train", "val") for amounts in report["counts"][split].values()]
    assert sum(amount["bouts"] for amount in amounts) == 3
    assert [problem["severity"] for problem in report["problems"]] == ["warning"] * len(report["problems"])
    assert report["changes"] == []


def test_fix_overwrites_nothing_and_is_for_recordings(
    recordings: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recordings.read_bytes()
    for name, fixed in ((recordings, recordings), (recordings, recordings.parent / "0.avi"), (data, Path("new.csv"))):
        assert main(["data", "check", str(name), "--fix", str(fixed)]) == 2
        assert capsys.readouterr().err.startswith("lrcn: error: --fix ")
    assert recordings.read_bytes() == before
