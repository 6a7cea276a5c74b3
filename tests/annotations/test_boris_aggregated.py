"""BORIS's aggregated events: a row a bout, with and without a header, in queues whose lengths are not known."""

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
from tests.conftest import MakeClip, textured_frames

from lrcn.annotations.formats import read_annotations, recognised_format, write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout

OLD = "one\t2016-12-01 23:01:31\t{}\t12.0\t25.0\tmood\tNo focal subject\t{}\t\t{}\t{}\t{}\t{}\t1.0\tso\tand so\n"
HEADER = (
    "Observation id\tObservation date\tMedia file\tTotal length\tFPS\tvar\tSubject\tBehavior\tBehavioral category\t"
    "Modifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tComment start\tComment stop\n"
)


@pytest.mark.parametrize("header", ["", HEADER])
def test_old_rows_are_read_with_and_without_their_header(header: str, read_text: ReadText) -> None:
    rows = OLD.format("a.mp4", "run", "fast|None", "STATE", 1, 2.5) + OLD.format("a.mp4", "jump", "", "POINT", 3, 3)
    (one,) = read_text("a.tsv", header + rows).recordings
    assert one.bouts == (
        Bout("run", 1.0, 2.5, "", ("fast", "None"), "so; and so"),
        Bout("jump", 3.0, 3.0, comment="so; and so"),
    )
    assert (one.path and one.path.name, one.duration_s, one.fps, one.looked_at) == ("a.mp4", 12.0, 25.0, WHOLE)


def test_every_bad_row_is_named(read_text: ReadText) -> None:
    rows = [("run", "STATE", 4, 2), ("run", "STATE", "NA", "NA"), ("", "STATE", 1, 2), ("run", "STATE", 5, 6)]
    found = read_text("a.tsv", HEADER + "".join(OLD.format("a.mp4", row[0], "", *row[1:]) for row in rows))
    assert [bout.start_s for bout in found.recordings[0].bouts] == [5.0]
    assert sorted(line.place for line in found.skipped) == ["a.tsv line 2", "a.tsv line 3", "a.tsv line 4"]
    assert found.num_events == 4


def test_a_queue_needs_the_length_of_its_files(read_text: ReadText, tmp_path: Path, make_clip: MakeClip) -> None:
    rows = OLD.format("a.avi", "run", "", "STATE", 0.25, 0.5) + OLD.format("b.avi", "run", "", "STATE", 1, 2)
    found = read_text("a.tsv", HEADER + rows)
    assert [(one.path, len(one.bouts)) for one in found.recordings] == [(None, 2)]
    assert sum("does not say how long a.avi is" in line for line in found.warnings) == 1
    make_clip(tmp_path / "a.avi", textured_frames(10, 32, 32, seed=0), fps=20)
    found = read_text("a.tsv", HEADER + rows)
    assert [[(bout.start_s, bout.end_s) for bout in one.bouts] for one in found.recordings] == [
        [(0.25, 0.5)],
        [(0.5, 1.5)],
    ]
    # another file of the queue has no events, and the length tells of it
    found = read_text("a.tsv", HEADER + rows.splitlines()[0])
    assert [one.path for one in found.recordings] == [None]
    assert sum("there are other files before or after" in line for line in found.warnings) == 1


modifiers = st.lists(words.filter(lambda word: "|" not in word), max_size=3).map(tuple)


@given(
    recordings(
        bouts(modifiers=modifiers),
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
        write_annotations(put, path, format="boris-aggregated")
        assert recognised_format(path) == "boris-aggregated"
        back = read_annotations(path)
    for one, other in zip(back.recordings, put.recordings, strict=True):
        assert Counter(one.bouts) == Counter(other.bouts)
        for about in ("name", "path", "looked_at", "duration_s", "fps", "offset_s"):
            assert getattr(one, about) == getattr(other, about)
    assert back.skipped == ()


@real
@pytest.mark.parametrize("path", sorted(REAL.glob("test_export_aggregated*")), ids=lambda path: path.stem[-1])
def test_real_exports_are_read(path: Path) -> None:
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file, delimiter="\t") if row[0] != "Observation id"]
    expected = Counter((row[-9] if len(row) < 19 else row[10], row[-5], row[-4]) for row in rows)
    found = read_annotations(path)
    assert found.num_events == len(rows) == found.num_bouts
    starts = Counter(f"{bout.start_s:.3f}" for one in found.recordings for bout in one.bouts)
    assert starts == Counter(start for _, start, _ in expected.elements())
