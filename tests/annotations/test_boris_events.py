"""BORIS's tabular events: old preambles and new columns, queues and players, every bad row named."""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.conftest import REAL, ReadText, real
from tests.annotations.strategies import bouts, looked_at_spans, recordings, words

from lrcn.annotations.formats import read_annotations, recognised_format, write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout
from lrcn.errors import DataError

OLD = """Observation id\tone\t\t\t\t
\t\t\t\t\t
Media file(s)\t\t\t\t\t
Player #1\ta.mp4\t\t\t\t
Time offset (s)\t2.0\t\t\t\t
independent variables\t\t\t\t\t
variable\tvalue\t\t\t\t
Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tCategory\tModifier 1\tModifier 2\tComment\tStatus
3.000\ta.mp4\t60.0\t25.0\tm\trun\t\tfast\tleft\tso\tSTART
0:00:05.5\ta.mp4\t60.0\t25.0\tm\trun\t\tfast\tleft\t\tSTOP
6.000\ta.mp4\t60.0\t25.0\t\tjump\t\t\t\t\tPOINT
Observation id\ttwo\t\t\t\t
Player #1\tb.mp4\t\t\t\t
Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\tComment\tStatus
1.000\tb.mp4\t60.0\t25.0\tNo focal subject\tjump\t\t\tPOINT
"""

NEW = (
    "Observation id,Observation date,Observation type,Source,Time offset (s),Media duration (s),FPS,mood,Subject,"
    "Behavior,Behavioral category,Modifier #1,Behavior type,Time,Media file name,Image index,Image file path,Comment\n"
)


def test_preambles_are_read(read_text: ReadText) -> None:
    found = read_text("events.tsv", OLD)
    one, two = found.recordings
    assert one.bouts == (Bout("run", 1.0, 3.5, "m", ("fast", "left"), "so"), Bout("jump", 4.0, 4.0))
    assert (one.name, one.path and one.path.name, one.duration_s, one.fps, one.offset_s) == ("one", "a.mp4", 60, 25, 2)
    assert (two.name, two.bouts, two.looked_at) == ("two", (Bout("jump", 1.0, 1.0),), WHOLE)
    assert found.num_events == 3


def test_a_header_that_begins_as_a_preamble_names_no_observation(read_text: ReadText) -> None:
    row = '"one",,Live observation,NA,0.0,NA,NA,,,run,,,POINT,3,NA,NA,NA,\n'
    assert read_text("new.csv", NEW + row).warnings == ()


def test_an_observation_without_a_table_does_not_take_the_next_ones_events(read_text: ReadText) -> None:
    found = read_text("old.tsv", "Observation id\tbehavior\t\nPlayer #1\tz.mp4\n" + OLD)
    assert [(one.name, one.path and one.path.name) for one in found.recordings] == [("one", "a.mp4"), ("two", "b.mp4")]
    assert [line for line in found.warnings if "no events" in line] == [
        "old.tsv observation 'behavior': has no events; leave it out, or annotate it"
    ]


def test_queues_are_cut_and_other_players_are_told_of(read_text: ReadText) -> None:
    about = '"one",,Media file(s),"player #1:a.mp4;b.mp4|player #2:c.mp4",0.0,10.000;20.000|20.000,25;30|25,'
    events = (("m", "", "START", 8), ("m", "", "STOP", 13), ("m", "x", "POINT", 10))
    rows = "".join(
        f"{about},{subject},run,,{modifier},{status},{time},a.mp4,NA,NA,\n"
        for subject, modifier, status, time in events
    )
    found = read_text("events.csv", NEW + rows)
    assert [one.bouts for one in found.recordings] == [
        (Bout("run", 8.0, 10.0, "m"),),
        (Bout("run", 0.0, 0.0, "m", ("x",)), Bout("run", 0.0, 3.0, "m")),
    ]
    assert [one.fps for one in found.recordings] == [25.0, 30.0]
    assert sum("only player 1 is read" in line for line in found.warnings) == 1


def test_every_bad_row_is_named(read_text: ReadText) -> None:
    rows = ["1,,run,STOP", "2,,run,START", "3,,run,START", "4,,run,STOP", "NA,,run,POINT", "5,,run,HALT", "6,,,POINT"]
    found = read_text("events.csv", "\n".join(["Time,Subject,Behavior,Status", *rows]))
    assert [one.bouts for one in found.recordings] == [(Bout("run", 3.0, 4.0),)]
    assert sorted(line.place for line in found.skipped) == [f"events.csv line {line}" for line in (2, 3, 6, 7, 8)]
    assert found.recordings[0].looked_at is None


def test_a_file_without_a_header_is_one_line(read_text: ReadText) -> None:
    with pytest.raises(DataError, match="no row names the columns"):
        read_text("events.tsv", "a\tb\n1\t2\n", format="boris-events")


modifiers = st.lists(words.filter(lambda word: "|" not in word), max_size=3).map(tuple)


@given(
    recordings(
        bouts(modifiers=modifiers),
        overlap=False,
        empty=False,
        looked_at=looked_at_spans,
        duration_s=st.none() | st.floats(1, 1e5),
        fps=st.none() | st.floats(1, 500),
        offset_s=st.sampled_from([0.0, 12.5]),
    ).filter(lambda drawn: drawn.recordings),
    st.sampled_from(["tsv", "csv"]),
)
@settings(max_examples=40)
def test_in_and_out_again_loses_nothing(given_: Annotations, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        put = given_.placed_in(Path(folder))  # type: ignore[attr-defined]
        write_annotations(put, path, format="boris-events")
        assert recognised_format(path) == "boris-events"
        back = read_annotations(path)
    for one, other in zip(back.recordings, put.recordings, strict=True):
        assert Counter(one.bouts) == Counter(other.bouts)
        for about in ("name", "path", "looked_at", "duration_s", "fps", "offset_s"):
            assert getattr(one, about) == getattr(other, about)
    assert back.skipped == ()


@real
@pytest.mark.parametrize("path", sorted(REAL.glob("test_export_events_tabular.*sv")), ids=lambda path: path.suffix)
def test_real_exports_are_read(path: Path) -> None:
    """As many bouts as there are rows that stop something, with the times of those rows."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    stops = sorted(float(row[0]) for row in rows if row[-1] == "STOP")
    found = read_annotations(path)
    assert sorted(bout.end_s for one in found.recordings for bout in one.bouts) == stops
    assert found.skipped == ()
