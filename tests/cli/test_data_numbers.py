"""Numbers on the command line: what the functions say, with every event that could not be read named."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.annotations.conftest import REAL, real
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main

HEADER = "path,label,start_s,end_s,subject,looked_at,duration_s\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "anna.csv"
    path.write_text(HEADER + "a.mp4,groom,2,6,m1,all,20\na.mp4,groom,8,10,m1,,\na.mp4,hop,12,,m1,,\n")
    return path


def test_a_budget_is_printed_and_written(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "budget", str(table), "--output", str(tmp_path / "out"), "--quiet"]) == 0
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.out.splitlines()]
    assert lines[1] == ["a.mp4", "m1", "groom", "2", "6.00", "3.00", "30.00", "2.00"]
    assert lines[2] == ["a.mp4", "m1", "hop", "1", "NA", "NA", "NA", "12.00"]
    assert captured.err == ""
    with (tmp_path / "out" / "time_budget.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["count"], row["between_mean_s"]) for row in rows] == [
        ("groom", "2", "2"),
        ("hop", "1", "NA"),
    ]
    with (tmp_path / "out" / "transitions.csv").open(newline="") as file:
        steps = {(row["before"], row["after"]): row["count"] for row in csv.DictReader(file)}
    assert steps == {("groom", "groom"): "1", ("groom", "hop"): "1", ("hop", "groom"): "0", ("hop", "hop"): "0"}


def test_recordings_without_bouts_are_told_of(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(HEADER + "a.mp4,,,,,all,20\n")
    assert main(["data", "budget", str(table), "--output", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no bouts in 1 recordings" in captured.err
    assert not (tmp_path / "out").exists()


def test_bins_are_rows(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "budget", str(table), "--bin", "5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["time_budget"]
    groomed = [(row["start_s"], row["count"], row["total_s"]) for row in rows if row["label"] == "groom"]
    assert groomed == [(0.0, 1, 3.0), (5.0, 2, 3.0), (10.0, 0, 0.0), (15.0, 0, 0.0)]


def test_the_length_is_the_videos_where_nobody_says_it(
    tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "a.avi", textured_frames(40, 32, 48), 10)
    (tmp_path / "x.csv").write_text("path,label,start_s,end_s,looked_at\na.avi,groom,1,2,all\n")
    assert main(["data", "budget", str(tmp_path / "x.csv"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["time_budget"]
    assert row["percent"] == pytest.approx(25.0)


def test_what_cannot_be_read_is_named_and_the_rest_is_done(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text(table.read_text() + "a.mp4,hop,late,,m1,,\n")
    assert main(["data", "budget", str(table), str(tmp_path / "none.csv"), "--json", "--quiet"]) == 3
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["time_budget"]) == 2
    assert "line 5" in captured.err
    assert "none.csv: no such annotation file" in captured.err
    assert main(["data", "budget", str(tmp_path / "none.csv")]) == 1
    assert main(["data", "budget"]) == 2


def test_two_annotators_are_compared(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "ben.csv"
    other.write_text(HEADER + "a.mp4,groom,2,5,m1,all,20\nb.mp4,groom,0,5,m1,all,20\n")
    assert main(["data", "agree", str(table), str(other), "--json", "--quiet"]) == 3
    captured = capsys.readouterr()
    assert "b.mp4: only one of the two files has this recording" in captured.err
    found = json.loads(captured.out)
    observed, chance = 17 / 20, (6 * 3 + 14 * 17) / 400
    assert found["classes"]["groom"]["kappa"] == pytest.approx((observed - chance) / (1 - chance))
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["classes"]["hop"]["kappa"] is None
    assert main(["data", "agree", str(table), str(table)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "recordings in common: 1; seconds that both looked at: 20.0"
    assert out[1].split() == ["Cohen's", "kappa", "1.000"]


def test_files_without_a_common_recording_are_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "ben.csv"
    other.write_text(HEADER + "b.mp4,groom,2,5,m1,all,20\n")
    assert main(["data", "agree", str(table), str(other), "--quiet"]) == 1
    assert "have no recording in common" in capsys.readouterr().err


@real
def test_a_project_of_boris_gives_its_own_time_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "budget", str(REAL / "test.boris"), "--json", "--quiet"]) == 3  # one state is never stopped
    rows = json.loads(capsys.readouterr().out)["time_budget"]
    found = {(row["subject"], row["label"]): row for row in rows if row["recording"] == "observation #1"}
    expected = json.loads((REAL / "test_time_budget1.json").read_text())
    assert len(expected) == 4
    for theirs in expected:
        ours = found[theirs["subject"], theirs["behavior"]]
        assert ours["count"] == int(theirs["number"])
        for name, field in (("duration", "total_s"), ("duration_mean", "mean_s"), ("duration_stdev", "deviation_s")):
            assert ("NA" if ours[field] is None else pytest.approx(ours[field], abs=5e-4)) == theirs[name]
