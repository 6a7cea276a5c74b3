"""ActivityNet: annotations and results, and the results that are written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.conftest import ReadText
from tests.annotations.strategies import bouts, recordings

from lrcn.annotations.formats import read_annotations, recognised_format, write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout
from lrcn.errors import DataError


def test_annotations_count_as_gone_through(read_text: ReadText, tmp_path: Path) -> None:
    (tmp_path / "v_abc.mp4").touch()
    about = {"duration": 60.5, "subset": "validation", "annotations": [{"label": "run", "segment": [1, 2.5]}]}
    content = {"version": "VERSION 1.3", "database": {"abc": about, "def": {"subset": "testing", "annotations": []}}}
    found = read_text("x.json", json.dumps(content))
    one, two = found.recordings
    assert one.bouts == (Bout("run", 1.0, 2.5),)
    assert (one.path, one.looked_at, one.duration_s, one.split) == (tmp_path / "v_abc.mp4", WHOLE, 60.5, "val")
    assert (two.looked_at, two.split) == (None, "test")
    assert sum("def is not there" in line for line in found.warnings) == 1


def test_every_bad_segment_is_named(read_text: ReadText) -> None:
    segments = [{"label": "run", "segment": times} for times in ([1, 2], [2, 1], [1], None, ["x", 2], [-1, 2])]
    segments += [{"segment": [1, 2]}, 7]  # type: ignore[list-item]
    found = read_text("x.json", json.dumps({"results": {"a": segments, "b": "none"}}))
    assert found.recordings[0].bouts == (Bout("run", 1.0, 2.0),)
    assert [line.place for line in found.skipped] == [f"x.json video 'a' annotation {i}" for i in range(2, 9)]
    assert sum("'b'" in line for line in found.warnings) == 1


@given(recordings(bouts(subject=st.just(""), comment=st.just(""), prob=st.floats(0, 1))))
@settings(max_examples=40)
def test_in_and_out_again_loses_nothing(given_: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        put = given_.placed_in(Path(folder))  # type: ignore[attr-defined]
        for recording in put.recordings:
            assert recording.path is not None
            recording.path.touch()
        write_annotations(put, path, format="activitynet")
        assert recognised_format(path) == "activitynet"
        back = read_annotations(path)
    assert [(one.path, one.bouts) for one in back.recordings] == [(one.path, one.bouts) for one in put.recordings]


def test_two_of_a_name_are_refused(read_text: ReadText, tmp_path: Path) -> None:
    found = read_text("a.csv", "path,label,start_s,end_s\na/x.mp4,run,1,5\nb/x.mp4,run,4,6\n")
    with pytest.raises(DataError, match="two recordings are called 'x'"):
        write_annotations(found, tmp_path / "y.json", format="activitynet")
