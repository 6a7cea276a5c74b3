"""`annotations.csv`: all that people write into it, and what is wrong by its line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.recognition.folders import by_split, refusal, touch, write_csv

from lrcn.data.recognition.readers import (
    RecognitionExample,
    read_recognition_data,
)
from lrcn.errors import DataError


def test_csv_with_all_columns(tmp_path: Path) -> None:
    write_csv(
        tmp_path,
        "path,label,split,start_s,end_s,group\n"
        "a.mp4,walk,train,0.5,2,anna\n"
        'a.mp4,"run, fast",train,2,,anna\n'
        '"sub/c, d.mp4",walk,Validation,,3.5,bob\n'
        "frames,walk,test,,,carl\n",
    )
    data = read_recognition_data(tmp_path)
    assert data.labels == ("run, fast", "walk")
    assert data.examples == (
        RecognitionExample(tmp_path / "a.mp4", "walk", "train", 0.5, 2.0, "anna"),
        RecognitionExample(tmp_path / "a.mp4", "run, fast", "train", 2.0, None, "anna"),
        RecognitionExample(tmp_path / "sub/c, d.mp4", "walk", "val", 0.0, 3.5, "bob"),
        RecognitionExample(tmp_path / "frames", "walk", "test", 0.0, None, "carl"),
    )
    assert read_recognition_data(tmp_path / "annotations.csv").examples == data.examples


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label,split\r\na.mp4,go,train\r\nb.mp4,go,val\r\n", "utf-8"),
        ("path,label,split\na.mp4,go,train\nb.mp4,go,val", "utf-8-sig"),
        ("Path ; LABEL;split\n\n a.mp4;go ;train\n;;\nb.mp4;go;val\n", "utf-8"),
        ("label\tsplit\tpath\ngo\ttrain\ta.mp4\ngo\tval\tb.mp4\n", "utf-8"),
        ('"path","label","split"\r"a.mp4","go","train"\r"b.mp4","go","val"\r', "utf-8"),
        ("file_name,label,split\na.mp4,go,train\nb.mp4,go,val\n", "utf-8"),
    ],
)
def test_csv_as_people_save_it(tmp_path: Path, text: str, encoding: str) -> None:
    data = read_recognition_data(write_csv(tmp_path, text, encoding))
    assert by_split(data, tmp_path) == {"train": [("a.mp4", "go")], "val": [("b.mp4", "go")]}


def test_csv_without_split_is_divided(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number}.mp4" for number in range(10)))
    rows = "".join(f"{number}.mp4,go\n" for number in range(10))
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + rows)
    data = read_recognition_data(tmp_path, val_fraction=0.2)
    assert Counter(e.split for e in data.examples) == {"train": 8, "val": 2}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("gone.mp4,go,train,,", "gone.mp4 not found; put the videos there, or leave such rows out with --skip-missing"),
        (",go,train,,", "the path is empty"),
        ("a.mp4,,train,,", "the label is empty"),
        ("a.mp4,go,trian,,", "unknown split 'trian'; did you mean 'train'? choices: train, val, test"),
        ("a.mp4,go,,,", "unknown split ''; choices: train, val, test"),
        ("a.mp4,go,train,-1,", "'-1' is no time in seconds from 0 up"),
        ("a.mp4,go,train,nan,", "'nan' is no time in seconds from 0 up"),
        ("a.mp4,go,train,,inf", "'inf' is no time in seconds from 0 up"),
        ("a.mp4,go,train,0:10,", "'0:10' is no time in seconds from 0 up"),
        ("a.mp4,go,train,3,2", "ends at 2 s, not after its start at 3 s; correct one of them"),
        ("a.mp4,go,train,3,3", "ends at 3 s, not after its start at 3 s; correct one of them"),
        ("b.mp4,go,train,,", "repeats line 2; remove one"),
        ("b.mp4,stop,train,,", "is 'stop' here and 'go' in line 2; keep one class"),
        ("a.mp4,go,train", "3 cells for 5 columns; quote cells that hold a comma"),
        ("a.mp4,go,train,,,,", "7 cells for 5 columns; quote cells that hold a comma"),
        (
            "a\0.mp4,go,train,,",
            "a\\x00.mp4 not found; put the videos there, or leave such rows out with --skip-missing",
        ),
        ('"a.mp4,go,train,,', "unexpected end of data; check its quotes"),
    ],
)
def test_bad_csv_row_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    write_csv(tmp_path, f"path,label,split,start_s,end_s\nb.mp4,go,train,,\n{row}\n")
    assert str(refusal(tmp_path)) == f"annotations.csv line 3: {complaint}"


def test_all_bad_csv_rows_are_counted_and_kept(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label\nb.mp4,go\nx.mp4,go\na.mp4,\ny.mp4,go\n")
    error = refusal(tmp_path)
    assert str(error) == "annotations.csv line 3: x.mp4 not found (2 more)"
    assert error.problems == (
        "annotations.csv line 3: x.mp4 not found",
        "annotations.csv line 4: the label is empty",
        "annotations.csv line 5: y.mp4 not found",
    )


def test_missing_videos_can_be_left_out(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label\nx.mp4,go\na.mp4,go\ny.mp4,go\n")
    data = read_recognition_data(tmp_path, skip_missing=True, val_fraction=0)
    assert [e.path.name for e in data.examples] == ["a.mp4"]
    assert data.warnings[0] == "left out: annotations.csv line 2: x.mp4 not found (1 more)"
    write_csv(tmp_path, "path,label\nx.mp4,go\n")
    assert "no video to read: annotations.csv line 2: x.mp4 not found" in str(refusal(tmp_path, skip_missing=True))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\n\n", "the file is empty"),
        (b"a.mp4,walk\n", "line 1: no column 'path'"),
        (b"path,class\na.mp4,walk\n", "line 1: no column 'label'"),
        (b"path,label\n", "no video to read"),
        (
            "path,label\na.mp4,go\nb.mp4,rückwärts\n".encode("latin-1"),
            "line 3: byte 0xfc is no UTF-8; save the file as",
        ),
        ("path,label\na.mp4,go\n".encode("utf-16"), "line 1: byte 0xff is no UTF-8"),
        (b"path,label\na.mp4," + b"x" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_csv_that_is_no_table_is_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    write_csv(tmp_path, "")
    (tmp_path / "annotations.csv").write_bytes(content)
    assert complaint in str(refusal(tmp_path))


def test_column_that_is_not_known_is_said(tmp_path: Path) -> None:
    data = read_recognition_data(write_csv(tmp_path, "path,label,start\na.mp4,go,3\n"))
    assert any("columns not used: start" in warning for warning in data.warnings)


@given(content=st.binary(max_size=60) | st.text(alphabet='path,label\n\r";\t\0aé.mp4-0', max_size=60).map(str.encode))
@settings(deadline=None)
def test_any_csv_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = touch(tmp_path_factory.mktemp("csv"), "a.mp4")
    (root / "annotations.csv").write_bytes(b"path,label,start_s\na.mp4,go,\n" + content)
    try:
        data = read_recognition_data(root)
    except DataError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert all(example.path.exists() for example in data.examples)


def test_group_given_by_the_user_must_not_be_torn(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label,split,group\na.mp4,go,train,anna\nb.mp4,go,test,anna\n")
    assert "clips of 'anna' are in test and train; give each group one split" in str(refusal(tmp_path))


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("videos\\a.mp4", "videos/a.mp4"),
        ("h\u00fcpfen/a.mp4", "hu\u0308pfen/a.mp4"),
        ("hu\u0308pfen/a.mp4", "h\u00fcpfen/a.mp4"),
        ("hu\u0308pfen\\a.mp4", "h\u00fcpfen/a.mp4"),
    ],
)
def test_a_path_may_be_spelt_as_another_system_spells_it(tmp_path: Path, named: str, there: str) -> None:
    touch(tmp_path, there)
    write_csv(tmp_path, f"path,label\n{named},go\n")
    (example,) = read_recognition_data(tmp_path).examples
    assert example.path == tmp_path / there


def test_rows_that_cannot_be_used_are_left_out_where_asked(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    write_csv(tmp_path, "path,label,start_s,end_s\na.mp4,go,,\nb.mp4,stop,3,3\nb.mp4,stop,,\nc.mp4,stop,,\n")
    data = read_recognition_data(tmp_path, skip_missing=True, val_fraction=0)
    assert [(example.path.name, example.label) for example in data.examples] == [("a.mp4", "go"), ("b.mp4", "stop")]
    assert data.warnings[0].startswith("left out: annotations.csv line 3: ends at 3 s, not after its start")
    assert data.warnings[0].endswith("(1 more)")
