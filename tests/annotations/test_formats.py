"""The table of formats: recognised by content, folders, subjects, what was looked at, the sum that is checked."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from tests.annotations.conftest import ReadText

from lrcn.annotations.formats import FORMATS, AnnotationFormat, read_annotations, recognised_format, write_annotations
from lrcn.annotations.reading import ReadOptions
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.errors import ConfigError, DataError

CSV = "path,label,start_s,end_s,subject\na.mp4,run,1,2,m\na.mp4,rest,3,4,f\n"

FILES = {
    "boris-project": ("a.json", '{"time_format": "s", "project_format_version": "7.0", "observations": {}}'),
    "boris-events": ("a.csv", "x,y\n\nTime,Behavior,Status\n1,run,POINT\n"),
    "boris-aggregated": ("a.tsv", "Observation id\tBehavior\tStart (s)\tStop (s)\n1\trun\t1\t2\n"),
    "bouts-csv": ("a.csv", CSV),
    "elan": ("a.xml", '<?xml version="1.0"?><!-- x --><ANNOTATION_DOCUMENT/>'),
    "cvat": ("a.xml", "<annotations><version>1.1</version></annotations>"),
    "label-studio": ("a.json", '[{"id": 1, "data": {"video": "a.mp4"}, "annotations": []}]'),
    "fiftyone": ("a.json", '{"classes": [], "labels": {"a": [{"label": "run", "timestamps": [1, 2]}]}}'),
    "activitynet": ("a.json", '{"database": {"a": {"annotations": [{"label": "run", "segment": [1, 2]}]}}}'),
    "label-track": ("a.txt", "1.0\t2.0\trun\n"),
}


def test_there_is_a_file_of_every_format() -> None:
    assert set(FILES) == {name for name, one in FORMATS.items() if one.read}


@pytest.mark.parametrize("name", FILES)
def test_files_are_recognised_by_what_is_in_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / FILES[name][0]
    path.write_text(FILES[name][1])
    assert [one for one, format in FORMATS.items() if format.detect(path)] == [name]
    read_annotations(path)


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 100, b"[", b"{", b"<", b"1\t", b"a,b\n1,2\n", b'"', b"[1, 2]"])
def test_what_is_none_is_one_line(content: bytes, tmp_path: Path) -> None:
    for name in ("a.csv", "a.json", "a.xml", "a.txt"):
        (tmp_path / name).write_bytes(content)
        assert recognised_format(tmp_path / name) is None
        with pytest.raises(DataError, match="no annotations recognised"):
            read_annotations(tmp_path / name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff" * 100, b"[", b"{}", b"<a/>", b"1\t", b"5", b'[{"data": 3}]', b"[[]]"]
)
def test_nonsense_that_is_said_to_be_of_a_format_is_no_traceback(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with contextlib.suppress(DataError):
        assert read_annotations(tmp_path / "a", format=name).num_bouts == 0


def test_a_folder_is_read_as_one(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"1\t2\t{name}\n")
        (tmp_path / f"{name}.mp4").touch()
    found = read_annotations(tmp_path)
    assert [(one.name, one.path) for one in found.recordings] == [(name, tmp_path / f"{name}.mp4") for name in "ab"]
    assert (found.labels, found.num_events, found.warnings) == (("a", "b"), 2, ())
    (tmp_path / "c.csv").write_text(CSV)
    with pytest.raises(DataError, match="holds annotations of bouts-csv and of label-track"):
        read_annotations(tmp_path)
    assert len(read_annotations(tmp_path, format="label-track").recordings) == 2


def test_a_file_of_all_beside_one_a_recording_counts_nothing_twice(tmp_path: Path) -> None:
    head = "path,label,start_s,end_s,looked_at\n"
    rows = ["a.mp4,run,1,2,all\na.mp4,rest,3,4,all\n", "b.mp4,,,,all\n"]
    for name, text in {"a": rows[0], "b": rows[1], "bouts": "".join(rows)}.items():
        (tmp_path / f"{name}.csv").write_text(head + text)
    found = read_annotations(tmp_path)
    assert [(one.name, len(one.bouts)) for one in found.recordings] == [("a.mp4", 2), ("b.mp4", 0)]
    assert (found.num_bouts, found.num_events) == (2, 2)
    (tmp_path / "anna.csv").write_text(head + "a.mp4,run,1,2.5,all\n")  # somebody else, who says something else
    assert read_annotations(tmp_path).num_bouts == 3


def test_one_subject_can_be_kept(read_text: ReadText) -> None:
    found = read_text("a.csv", CSV, subject="m")
    assert [one.bouts for one in found.recordings] == [(Bout("run", 1.0, 2.0, "m"),)]
    assert found.num_events == 1
    with pytest.raises(DataError, match="nobody is called 'x'; there are f, m"):
        read_text("a.csv", CSV, subject="x")


def test_the_user_can_say_what_was_looked_at(read_text: ReadText) -> None:
    assert read_text("a.csv", CSV).recordings[0].looked_at is None
    assert read_text("a.csv", CSV, looked_at="whole").recordings[0].looked_at == WHOLE
    stated = CSV.replace("subject", "looked_at").replace(",m", ",0-10").replace(",f", ",")
    assert read_text("a.csv", stated).recordings[0].looked_at == ((0.0, 10.0),)
    assert read_text("a.csv", stated, looked_at="bouts").recordings[0].looked_at is None


def test_videos_of_another_computer_are_found(read_text: ReadText, tmp_path: Path) -> None:
    names = {"C:\\Users\\me\\Day 1\\A.MP4": "day 1/a.mp4", "file:///D:/x/b%20c.mp4": "x/b c.mp4", "/srv/d.mp4": "d.mp4"}
    for place in (*names.values(), "day 2/a.mp4"):
        (tmp_path / "videos" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / place).touch()
    rows = "".join(f"{name},run,1,2,\n" for name in names)
    found = read_text("a.csv", "path,label,start_s,end_s,x\n" + rows, videos=tmp_path / "videos")
    assert [one.path for one in found.recordings] == [tmp_path / "videos" / place for place in names.values()]
    found = read_text("a.csv", "path,label,start_s,end_s,x\na.mp4,run,1,2\n", videos=tmp_path / "videos")
    assert sum("two videos are called a.mp4" in line for line in found.warnings) == 1


def test_an_event_that_vanishes_is_no_small_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(path: Path, options: ReadOptions) -> Annotations:
        return Annotations("x", (Recording("a", None, (Bout("run", 1.0, 2.0),)),), ("run",), num_events=2)

    monkeypatch.setitem(FORMATS, "forgetful", AnnotationFormat(".x", lambda path: path.suffix == ".x", forgetful))
    (tmp_path / "a.x").touch()
    with pytest.raises(DataError, match="holds 2 events, and 1 are accounted for"):
        read_annotations(tmp_path / "a.x")


def test_formats_that_are_only_read_or_only_written_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n")
    with pytest.raises(DataError, match="srt is only written"):
        read_annotations(tmp_path / "a.srt", format="srt")
    with pytest.raises(ConfigError, match=r"no annotation format has the suffix '\.xml'"):
        write_annotations(Annotations("x", (), ()), tmp_path / "a.xml")


def test_a_rate_that_is_not_the_videos_is_told(read_text: ReadText, clip20: Path) -> None:
    header = "path,label,start_s,end_s,fps\n"
    rate = json.dumps(str(clip20))
    same = read_text("a.csv", f"{header}{rate},run,0,1,\n")
    assert same.warnings == ()
    assert same.recordings[0].fps is not None
    other = read_text("a.csv", f"{header}{rate},run,0,1,{same.recordings[0].fps * 2}\n")
    assert sum("is it the same video?" in line for line in other.warnings) == 1
