"""Label Studio: timelines in frames and seconds, both exports, several annotators, predictions in and out."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.conftest import ReadText
from tests.annotations.strategies import bouts, recordings, texts

from lrcn.annotations.formats import read_annotations, recognised_format, write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout
from lrcn.errors import DataError


def timeline(*ranges: tuple[Any, Any], labels: tuple[Any, ...] = ("run",), **more: Any) -> dict[str, Any]:
    value = {"ranges": [{"start": start, "end": end} for start, end in ranges], "timelinelabels": list(labels)}
    return {"type": "timelinelabels", "value": value, **more}


def task(*results: list[Any], **more: Any) -> dict[str, Any]:
    made = [{"id": i, "was_cancelled": False, "result": result} for i, result in enumerate(results, start=7)]
    return {"id": 3, "data": {"video": "/data/upload/1/0a1b2c3d-a.mp4", "fps": 25}, "annotations": made, **more}


def test_ranges_count_frames_from_one_to_the_last(read_text: ReadText) -> None:
    regions = [
        timeline((1, 25), (51, 51), labels=("run", "jump"), meta={"text": ["so", "it is"]}),
        {"type": "labels", "value": {"start": 1.5, "end": 2.25, "channel": 0, "labels": ["noise"]}},
        {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
    ]
    (one,) = read_text("x.json", json.dumps([task(regions)])).recordings
    assert set(one.bouts) == {
        *(Bout(label, *times, comment="so it is") for label in ("run", "jump") for times in ((0.0, 1.0), (2.0, 2.04))),
        Bout("noise", 1.5, 2.25),
    }
    assert (one.name, one.path and one.path.name, one.looked_at) == ("a.mp4", "a.mp4", WHOLE)


def test_json_min_and_local_files_are_read(read_text: ReadText) -> None:
    row = {
        "video": "/data/local-files/?d=set/a.mp4",
        "id": 1,
        "timeline": [{"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["run"]}],
    }
    (one,) = read_text("x.json", json.dumps([row]), fps=25).recordings
    assert one.bouts == (Bout("run", 1.0, 2.0),)
    assert one.path is not None
    assert one.path.parts[-2:] == ("set", "a.mp4")


def test_each_annotator_is_a_recording_and_cancelled_ones_are_left_out(read_text: ReadText) -> None:
    entry = task([timeline((1, 25))], [timeline((1, 50))], [timeline((1, 75))])
    entry["annotations"][2]["was_cancelled"] = True
    entry["predictions"] = [{"result": [timeline((1, 10), score=0.5)]}]
    found = read_text("x.json", json.dumps([entry]))
    assert [(one.name, one.bouts[0].end_s) for one in found.recordings] == [
        ("a.mp4 (annotation 7)", 1.0),
        ("a.mp4 (annotation 8)", 2.0),
    ]
    assert sum("annotation 9 was cancelled" in line for line in found.warnings) == 1


def test_every_bad_region_is_named(read_text: ReadText) -> None:
    regions = [
        timeline((1, 25)),
        timeline((9, 3)),
        timeline(("soon", 3), (1, 2), labels=("run", "")),
        {"type": "videorectangle", "value": {"sequence": [], "labels": ["mouse"]}},
        {"type": "timelinelabels"},
        "x",
        {"type": "labels", "value": {"start": 3, "end": 2, "labels": ["noise"]}},
    ]
    found = read_text("x.json", json.dumps([task(regions), 5]))
    assert [(bout.start_s, bout.end_s) for bout in found.recordings[0].bouts] == [(0.0, 0.08), (0.0, 1.0)]
    assert len(found.skipped) == 8
    assert found.num_events == 10
    assert found.recordings[0].looked_at is None


def test_frames_without_a_rate_are_skipped_with_the_remedy(read_text: ReadText) -> None:
    entry = task([timeline((1, 25))])
    del entry["data"]["fps"]
    found = read_text("x.json", json.dumps([entry]))
    assert ["--fps" in line.reason for line in found.skipped] == [True]
    with pytest.raises(DataError, match="--fps"):
        write_annotations(found, Path("y.json"), format="label-studio")


FPS = 29.97


@given(
    recordings(
        bouts(
            time=st.integers(0, 10**6).map(lambda frame: round(frame / FPS, 6)),
            points=False,
            subject=st.just(""),
            comment=texts,
            prob=st.none() | st.floats(0, 1),
        ),
        fps=st.just(FPS),
    )
)
@settings(max_examples=40)
def test_in_and_out_again_loses_nothing(given_: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        put = given_.placed_in(Path(folder))  # type: ignore[attr-defined]
        write_annotations(put, path)
        assert recognised_format(path) == "label-studio"
        back = read_annotations(path)
    for one, other in zip(back.recordings, put.recordings, strict=True):
        assert (one.name, one.path, one.fps, one.looked_at) == (other.name, other.path, other.fps, None)
        assert len(one.bouts) == len(other.bouts)
        for read, written in zip(one.bouts, other.bouts, strict=True):
            assert (read.label, read.comment, read.prob) == (written.label, written.comment, written.prob)
            assert math.isclose(read.start_s, written.start_s, abs_tol=1e-5)
            assert abs(read.end_s - written.end_s) < 1e-5 or abs(written.end_s - written.start_s - 1.0) < 0.02
