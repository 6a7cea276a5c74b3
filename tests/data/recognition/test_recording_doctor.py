"""Faults planted in annotated recordings, one by one: each is found, and a set without has none."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.annotations.formats import read_annotations
from lrcn.data.recognition.examples import ReadOptions
from lrcn.data.recognition.recording_doctor import Amount, RecordingDoctorReport, check_recordings

COLUMNS = ("path", "label", "start_s", "end_s", "subject", "split", "looked_at")
SPLITS = ("train", "train", "val", "test")


class Set:
    """Four recordings of six seconds, each with three bouts; rows are written as they are when it is checked."""

    def __init__(self, folder: Path, make_clip: MakeClip) -> None:
        self.folder = folder
        self.make_clip = make_clip
        self.rows: list[dict[str, object]] = []
        for number, split in enumerate(SPLITS):
            name = f"{number}.avi"
            make_clip(folder / name, textured_frames(60, 32, 48, seed=number), 10)
            for start_s, label in ((0.5, "groom"), (2.0, "rear up"), (4.0, "toilette à deux")):
                self.add(path=name, label=label, start_s=start_s, end_s=start_s + 1, split=split)

    def add(self, **row: object) -> None:
        self.rows.append({"subject": "mouse", "looked_at": "all", **row})

    @property
    def path(self) -> Path:
        return self.folder / "annotations.csv"

    def check(self, *, decode: bool = True, workers: int | None = None) -> RecordingDoctorReport:
        with self.path.open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(self.rows)
        return check_recordings(self.path, ReadOptions(), decode=decode, workers=workers)


@pytest.fixture
def recordings(tmp_path: Path, make_clip: MakeClip) -> Set:
    return Set(tmp_path, make_clip)


def said(report: RecordingDoctorReport) -> list[str]:
    return [f"{finding.severity}: {finding.text}" for finding in report.problems]


def the_only(report: RecordingDoctorReport) -> str:
    (line,) = said(report)
    return line


@pytest.mark.parametrize("decode", [True, False])
def test_nothing_is_found_where_nothing_is_wrong(recordings: Set, decode: bool) -> None:
    report = recordings.check(decode=decode)
    assert said(report) == []
    assert report.changes == ()
    assert report.ok
    assert report.counts == {
        split: dict.fromkeys(("groom", "rear up", "toilette à deux"), Amount(SPLITS.count(split), SPLITS.count(split)))
        for split in ("train", "val", "test")
    }
    assert report.clean.recordings == read_annotations(recordings.path).recordings


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("start_s", "end_s", "severity", "change"),
    [
        (5.5, 6.5, "warning", "ends with the video now, at 6.00 s"),
        (5.5, 9.0, "error", "ends with the video now, at 6.00 s"),
        (7.0, 7.5, "error", "past the end of the video at 6.00 s"),
    ],
)
def test_bouts_past_the_end(
    recordings: Set, decode: bool, start_s: float, end_s: float, severity: str, change: str
) -> None:
    recordings.add(path="0.avi", label="groom", start_s=start_s, end_s=end_s, split="train")
    report = recordings.check(decode=decode)
    expected = f"{severity}: 0.avi: 'groom' from {start_s:g} to {end_s:g} s goes past the end of the video at 6.00 s"
    assert the_only(report).startswith(expected)
    (line,) = report.changes
    assert line.endswith(change)
    assert max(bout.end_s for one in report.clean.recordings for bout in one.bouts) <= 6.0


@pytest.mark.parametrize(
    "label", ["Groom", " groom  ", "rear  up", "rear_up", "Rear Up", unicodedata.normalize("NFD", "toilette à deux")]
)
def test_labels_that_differ_by_case_spaces_or_accents(recordings: Set, label: str) -> None:
    recordings.add(path="0.avi", label=label, start_s=1.7, end_s=1.95, split="train")
    report = recordings.check()
    if label.strip() == "groom":  # the reader takes spaces around off
        assert said(report) == []
        return
    assert the_only(report).startswith("error: one label in 2 spellings")
    assert all(part in the_only(report) for part in (repr(label), "(4 bouts)", "(1 bouts)"))
    assert set(report.clean.labels) == {"groom", "rear up", "toilette à deux"}
    assert len(report.changes) == 1
    assert report.counts["train"].keys() == {"groom", "rear up", "toilette à deux"}


def test_overlaps_where_behaviours_else_exclude_each_other(recordings: Set) -> None:
    recordings.rows[1]["start_s"] = 1.2
    lines = said(recordings.check())
    named = (
        "warning: 0.avi: 'groom' from 0.5 to 1.5 s overlaps 'rear up' from 1.2 to 3 s, where behaviours else exclude"
    )
    assert any(line.startswith(named) for line in lines)
    for row in recordings.rows[1::3]:
        row["start_s"] = 1.2
    assert not any("else exclude" in line for line in said(recordings.check()))
    for row in recordings.rows[1::3]:
        row["subject"] = "another mouse"
    assert not any("else exclude" in line for line in said(recordings.check()))


def test_one_label_twice_at_a_time(recordings: Set) -> None:
    recordings.add(path="0.avi", label="groom", start_s=1.2, end_s=1.9, split="train")
    assert "overlaps the same behaviour from 0.5 s on" in the_only(recordings.check())
    recordings.rows[-1] = {**recordings.rows[0]}
    report = recordings.check()
    assert "is there twice" in the_only(report)
    assert report.changes == ("0.avi: 'groom' from 0.5 to 1.5 s is there 2 times: one is kept",)
    assert report.clean.num_bouts == 12
    recordings.rows[-1]["subject"] = "another mouse"
    assert said(recordings.check()) == []


@pytest.mark.parametrize("decode", [True, False])
def test_recordings_that_are_not_there(recordings: Set, decode: bool) -> None:
    recordings.add(path="gone.avi", label="groom", start_s=1, end_s=2, split="train")
    report = recordings.check(decode=decode)
    assert the_only(report).startswith("error: gone.avi: ")
    assert report.changes == ("left out: gone.avi with 1 bouts: its video is not there",)
    assert [one.name for one in report.clean.recordings] == ["0.avi", "1.avi", "2.avi", "3.avi"]


def test_of_recordings_none_of_which_is_there_no_more_is_said(recordings: Set) -> None:
    for number in range(4):
        (recordings.folder / f"{number}.avi").unlink()
    report = recordings.check()
    assert [line.split(": ")[:2] for line in said(report)] == [["error", f"{number}.avi"] for number in range(4)]
    assert report.clean.recordings == ()


def test_videos_that_cannot_be_decoded(recordings: Set) -> None:
    (recordings.folder / "bad.avi").write_bytes(b"no video")
    recordings.add(path="bad.avi", label="groom", start_s=1, end_s=2, split="train")
    for decode in (True, False):
        report = recordings.check(decode=decode)
        assert "bad.avi: not a video" in the_only(report)
        assert report.changes == ("left out: bad.avi with 1 bouts: its video cannot be read",)


def test_recordings_without_annotation(recordings: Set) -> None:
    recordings.make_clip(recordings.folder / "more.avi", textured_frames(60, 32, 48, seed=9), 10)
    assert the_only(recordings.check()) == f"warning: not annotated: {recordings.folder / 'more.avi'}"
    recordings.add(path="more.avi", split="train")
    assert said(recordings.check()) == []  # gone through, and nothing seen
    recordings.rows[-1]["looked_at"] = ""
    assert "warning: more.avi: has no bout, and nothing says" in the_only(recordings.check())


def test_copies_of_recordings(recordings: Set) -> None:
    def plant(split: str, shift_s: float) -> str:
        recordings.rows = [row for row in recordings.rows if row["path"] != "copy.avi"]
        for row in recordings.rows[:3]:
            start_s, end_s = (float(str(row[name])) + shift_s for name in ("start_s", "end_s"))
            recordings.rows.append({**row, "path": "copy.avi", "split": split, "start_s": start_s, "end_s": end_s})
        report = recordings.check()
        copied = any("copy.avi, a copy of 0.avi" in change for change in report.changes)
        return f"{the_only(report)}{' (dropped)' if copied else ''}"

    original = (recordings.folder / "0.avi").read_bytes()
    for kind in ("same content", "the same pictures"):
        copy = recordings.folder / "copy.avi"
        if kind == "same content":
            copy.write_bytes(original)
        else:
            pixels = textured_frames(60, 32, 48, seed=0).repeat(2, axis=1).repeat(2, axis=2)
            recordings.make_clip(copy, pixels, 10, codec="mpeg4", pix_fmt="yuv420p")
        dropped = " (dropped)" if kind == "same content" else ""
        found = [plant(split, shift_s) for split, shift_s in (("test", 0.0), ("train", 0.2), ("train", 0.0))]
        assert all(kind in line and "0.avi" in line and "copy.avi" in line for line in found)
        assert found[0].startswith("error")
        assert "in test and train: scores will be too good" in found[0]
        assert "annotated differently" in found[1]
        assert found[2].startswith("warning")
        assert found[2].endswith(f"keep one{dropped}")


def test_short_bouts_and_classes_that_a_split_lacks(recordings: Set) -> None:
    recordings.add(path="0.avi", label="blink", start_s=1.7, end_s=1.85, split="train")
    lines = said(recordings.check())
    assert len(lines) == 3
    assert any(line.endswith("sampled: 0.avi: 'blink' from 1.7 to 1.85 s") for line in lines)
    assert {"warning: val: no bout of blink", "warning: test: no bout of blink"} < set(lines)


def test_rows_that_cannot_be_read(recordings: Set) -> None:
    recordings.add(path="0.avi", label="groom", start_s="soon", end_s=2, split="train")
    report = recordings.check()
    assert any("line 14: 'soon' is no time" in line for line in said(report))
    assert len(report.changes) == 1


def test_classes_that_are_never_annotated(tmp_path: Path, make_clip: MakeClip, recordings: Set) -> None:
    import json

    from lrcn.annotations.formats import write_annotations

    recordings.check()
    project = tmp_path / "project.boris"
    write_annotations(read_annotations(recordings.path), project)
    content = json.loads(project.read_text())
    first = next(iter(content["behaviors_conf"].values()))
    content["behaviors_conf"]["99"] = {**first, "code": "yawn", "key": "y"}
    project.write_text(json.dumps(content))
    report = check_recordings(project, ReadOptions())
    assert any("'yawn' is never annotated" in line for line in said(report))


def test_findings_do_not_depend_on_the_number_of_workers(recordings: Set) -> None:
    copy = recordings.folder / "copy.avi"
    copy.write_bytes((recordings.folder / "0.avi").read_bytes())
    recordings.add(path="copy.avi", label="Groom", start_s=1, end_s=20, split="test")
    recordings.add(path="gone.avi", label="groom", start_s=1, end_s=2, split="test")
    one, many = recordings.check(workers=1), recordings.check(workers=3)
    assert len(one.problems) >= 4
    assert one == many


@pytest.mark.slow
def test_a_set_as_it_is_rendered_has_nothing_wrong(tmp_path: Path) -> None:
    from lrcn_sets.behaviour.building import build_behaviour

    path = build_behaviour(tmp_path / "set", recordings=2, minutes=0.5, size_px=32, workers=1)
    report = check_recordings(path, ReadOptions())
    assert not [line for line in said(report) if "no bout of" not in line and "divided in time" not in line]
    assert report.changes == ()
