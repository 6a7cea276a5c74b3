"""Our own CSV: what goes in comes out, and every row is a bout or a line that says why not."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.conftest import ReadText
from tests.annotations.strategies import bouts, looked_at_spans, recordings, words

from lrcn.annotations.bouts_csv import looked_at_cell, parse_looked_at
from lrcn.annotations.formats import read_annotations, write_annotations
from lrcn.bouts import Annotations, Bout, labels_of

modifiers = st.lists(words | st.just("a|b\\"), max_size=3).map(tuple)


@given(
    recordings(
        bouts(modifiers=modifiers, prob=st.none() | st.floats(0, 1)),
        looked_at=looked_at_spans,
        duration_s=st.none() | st.floats(1, 1e5),
        fps=st.none() | st.floats(1, 500),
        split=st.sampled_from(["", "train", "val", "test"]),
        group=st.just("") | words,
        roi=st.none() | st.just((0, 1, 640, 480)),
    )
)
@settings(max_examples=40)
def test_in_and_out_again_loses_nothing(given_: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        put = given_.placed_in(Path(folder))
        write_annotations(put, path)
        back = read_annotations(path)
    assert back.recordings == put.recordings
    assert back.labels == labels_of(put.recordings)
    assert back.num_events == put.num_bouts
    assert back.skipped == ()


@given(looked_at_spans.filter(bool))
def test_what_was_looked_at_is_read_as_written(given_: tuple[tuple[float, float], ...]) -> None:
    assert parse_looked_at(looked_at_cell(given_)) == given_


def test_every_bad_row_is_named_and_the_others_are_read(read_text: ReadText) -> None:
    found = read_text(
        "a.csv",
        "path,label,start_s,end_s,roi,looked_at,split,colour\n"
        "a.mp4,run,1,2,,0-60,train,red\n"
        "a.mp4,run,soon,2\n"
        "a.mp4,run,5,4\n"
        "a.mp4,run,-1,4\n"
        "a.mp4,,3,4\n"
        ",run,3,4\n"
        "a.mp4,run,3,4,,,,red,too,many\n"
        "b.mp4,,,,0 0 10,now and then,holdout,\n"
        "a.mp4,jump,0:01:02.5,,,,,\n",
    )
    assert [bout for recording in found.recordings for bout in recording.bouts] == [
        Bout("run", 1.0, 2.0),
        Bout("jump", 62.5, 62.5),
    ]
    assert [line.place for line in found.skipped] == [f"a.csv line {line}" for line in (3, 4, 5, 6, 7, 8)]
    assert found.num_events == 8
    # where an event was lost nobody knows what was shown
    assert [recording.looked_at for recording in found.recordings] == [None, None]
    for text in ("colour", "a.mp4 is not there", "b.mp4 is not there", "'0 0 10'", "'now and then'", "'holdout'"):
        assert sum(text in warning for warning in found.warnings) == 1, text


def test_semicolons_another_case_and_utf16_are_read(read_text: ReadText) -> None:
    text = "Path;Label;Start_s;End_s\na.mp4;für sich;1,5;2,5\n"
    for encoding in ("utf-16", "utf-8-sig", "cp1252", "utf-16-le"):
        found = read_text("a.csv", text.encode(encoding))
        assert found.recordings[0].bouts == (Bout("für sich", 1.5, 2.5),)


def test_a_region_of_interest_has_a_width_and_a_height(read_text: ReadText) -> None:
    for roi in ("5 5 10 0", "5 5 0 10"):
        found = read_text("a.csv", f"path,label,start_s,end_s,roi\na.mp4,run,1,2,{roi}\n")
        assert found.recordings[0].roi is None
        assert sum(f"{roi!r} is no region" in warning for warning in found.warnings) == 1
    assert read_text("a.csv", "path,label,start_s,end_s,roi\na.mp4,run,1,2,5 5 10 9\n").recordings[0].roi == (
        5,
        5,
        10,
        9,
    )
