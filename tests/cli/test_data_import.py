"""`lrcn data import`: what was read, what was not, and files for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrcn.annotations.formats import FORMATS, read_annotations
from lrcn.cli import main

CSV = "path,label,start_s,end_s,looked_at\na.mp4,run,0,2.5,all\na.mp4,jump,1,1\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").touch()
    path = tmp_path / "in.csv"
    path.write_text(CSV)
    return path


def test_it_prints_counts_and_seconds(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "import", str(source)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["in.csv:", "2", "events:", "2", "read,", "0", "skipped;", "1", "recordings"]
    assert lines[2:] == [["run", "1", "1", "0", "2.5"], ["jump", "1", "0", "1", "0.0"]]
    assert main(["data", "import", str(source), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["labels"]["run"] == {"bouts": 1, "point_events": 0, "seconds": 2.5, "recordings": 1}


def test_it_says_what_to_do_where_nobody_says_what_was_looked_at(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_text(CSV.replace(",all", ","))
    assert main(["data", "import", str(source)]) == 0
    assert "not what lies between; if they were, say --looked-at whole" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name, one in FORMATS.items() if one.write and one.read])
def test_every_format_that_is_written_is_read_again(name: str, source: Path, tmp_path: Path) -> None:
    source.write_text(CSV.replace("looked_at", "looked_at,fps").replace(",all", ",all,25"))
    output = tmp_path / f"out{FORMATS[name].suffix}"
    main(["data", "import", str(source), "--output", str(output), "--to", name, "--quiet"])
    back = read_annotations(output, format=name)
    assert {bout.label for one in back.recordings for bout in one.bouts} == {"run", "jump"}


def test_what_a_format_has_no_place_for_is_told(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.mp4").touch()
    source.write_text(CSV + "b.mp4,,,,all\n")
    assert main(["data", "import", str(source), "--output", str(tmp_path / "out.tsv")]) == 0
    told = capsys.readouterr().err
    assert "warning: boris-events has no place for recordings without bouts: left out, of b.mp4" in told
    assert main(["data", "import", str(source), "--output", str(tmp_path / "out.boris")]) == 0
    assert "no place" not in capsys.readouterr().err


def test_what_is_skipped_is_told_and_the_others_are_written(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_text(CSV + "a.mp4,run,soon,3\n")
    assert main(["data", "import", str(source), "--output", str(tmp_path / "out.srt")]) == 3
    said = capsys.readouterr()
    assert "in.csv line 4: 'soon' is no time in seconds" in said.err
    assert "1 of 3 events failed" in said.err
    assert "3 events: 2 read, 1 skipped" in said.out
    assert (tmp_path / "out.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:02,500\nrun\n")


def test_what_is_wrong_otherwise_is_an_exit_code_too(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source.with_name("a.mp4").unlink()
    assert main(["data", "import", str(source)]) == 3
    assert "in.csv line 2: a.mp4 is not there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (["--output", "OUT.xyz"], 1, "no annotation format has the suffix '.xyz'"),
        (["--output", "SRC"], 2, "would be overwritten"),
        (["--format", "elan"], 1, "is no XML"),
        (["--format", "elam"], 1, "did you mean 'elan'"),
        (["--output", "OUT.x", "--to", "cvat"], 1, "unknown annotation format to write 'cvat'"),
        (["--subject", "nobody"], 1, "nobody is called 'nobody'"),
        (["--videos", "OUT"], 1, "no such folder of videos"),
    ],
)
def test_wrong_flags_are_one_line(
    flags: list[str], code: int, text: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [flag.replace("SRC", str(source)).replace("OUT", str(source.parent / "out")) for flag in flags]
    assert main(["data", "import", str(source), *given]) == code
    assert text in capsys.readouterr().err
