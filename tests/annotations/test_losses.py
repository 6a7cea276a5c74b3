"""What a format holds comes back as it was, and what it has no place for is said: of every format in and out."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.strategies import bouts, looked_at_spans, recordings, texts, words

from lrcn.annotations.formats import FORMATS, read_annotations, write_annotations
from lrcn.annotations.losses import KINDS
from lrcn.bouts import WHOLE, Annotations, Bout, Recording

FPS = 25.0
IN_AND_OUT = [name for name, format in FORMATS.items() if format.read and format.write]
FRAMES = st.integers(0, 10**5).map(lambda frame: round(frame / FPS, 6))

WITHOUT: dict[str, Callable[[Recording], Recording]] = {
    "probabilities": lambda one: replace(one, bouts=tuple(replace(bout, prob=None) for bout in one.bouts)),
    "subjects": lambda one: replace(one, bouts=tuple(replace(bout, subject="") for bout in one.bouts)),
    "modifiers": lambda one: replace(one, bouts=tuple(replace(bout, modifiers=()) for bout in one.bouts)),
    "comments": lambda one: replace(one, bouts=tuple(replace(bout, comment="") for bout in one.bouts)),
    "point events": lambda one: replace(one, bouts=tuple(bout for bout in one.bouts if not bout.is_point)),
    "what was looked at": lambda one: replace(one, looked_at=None),
    "offsets": lambda one: replace(one, offset_s=0.0),
    "splits": lambda one: replace(one, split=""),
    "groups": lambda one: replace(one, group=""),
    "regions": lambda one: replace(one, roi=None),
    "subjects without bouts": lambda one: replace(one, idle_subjects=()),
    "recordings without bouts": lambda one: one,
}
"""Kind -> a recording without it, written out once more: of point events what they become is another matter."""


def test_every_kind_is_tried() -> None:
    assert set(WITHOUT) == set(KINDS)


@pytest.mark.parametrize("name", IN_AND_OUT)
@given(
    drawn=recordings(
        bouts(
            time=FRAMES,
            subject=st.sampled_from(["", "anna", "ben"]),
            modifiers=st.lists(words.filter(lambda word: not {"|", "\\"} & set(word)), max_size=2).map(tuple),
            comment=texts,
            prob=st.floats(0, 1).map(lambda prob: round(prob, 6)),
        ),
        overlap=False,
        fps=st.just(FPS),
        looked_at=looked_at_spans,
        offset_s=st.sampled_from([0.0, 12.5]),
        split=st.sampled_from(["", "train", "test"]),
        group=st.sampled_from(["", "cage 1"]),
        roi=st.none() | st.just((0, 1, 640, 480)),
        idle_subjects=st.sampled_from([(), ("zoe",), ("yan", "zoe")]),
    )
)
@settings(max_examples=25)
def test_a_format_loses_what_it_says_and_nothing_else(name: str, drawn: Annotations) -> None:
    format = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        put = drawn.placed_in(Path(folder))  # type: ignore[attr-defined]
        for recording in put.recordings:
            recording.path.touch()
        path = Path(folder, "out" if format.a_file_each else f"out{format.suffix}")
        lines = write_annotations(put, path, format=name)
        back = read_annotations(path, format=name, videos=folder).recordings if path.exists() else ()
    assert [line.partition(" has no place for ")[2].partition(":")[0] for line in lines] == [
        kind for kind, has in KINDS.items() if kind in format.loses and any(map(has, put.recordings))
    ]
    expected = [one for one in put.recordings if one.bouts or "recordings without bouts" not in format.loses]
    if name == "boris-project":  # one list of subjects for all observations, where any shows several
        together = any(len({bout.subject for bout in one.bouts} - {""}) > 1 for one in expected)
        named = dict.fromkeys(x for one in expected for x in (*(b.subject for b in one.bouts), *one.idle_subjects) if x)
        expected = [replace(one, idle_subjects=()).watching(named if together else ()) for one in expected]
    by_name = {one.path.name: one for one in back}
    assert set(by_name) == {one.path.name for one in expected}
    for one in expected:
        found = by_name[one.path.name]
        for kind in format.loses:
            one, found = WITHOUT[kind](one), WITHOUT[kind](found)
        if "point events" in format.loses:  # they came back as bouts, as short as can be
            points = sum(bout.is_point for bout in next(own for own in put.recordings if own.path == one.path).bouts)
            assert len(found.bouts) == len(one.bouts) + points
            short = [bout for bout in found.bouts if bout.duration_s <= 1.001 / FPS]
            assert len(short) >= points
            found = replace(found, bouts=tuple(bout for bout in found.bouts if bout.duration_s > 1.001 / FPS))
            one = replace(one, bouts=tuple(bout for bout in one.bouts if bout.duration_s > 1.001 / FPS))
        assert Counter(found.bouts) == Counter(one.bouts)
        for about in ("looked_at", "offset_s", "split", "group", "roi"):
            assert getattr(found, about) == getattr(one, about), about
        assert set(found.idle_subjects) == set(one.idle_subjects)


def test_a_line_names_the_recordings(tmp_path: Path) -> None:
    empty = [Recording(f"{name}.mp4", Path(f"{name}.mp4"), (), looked_at=WHOLE) for name in "abc"]
    full = Recording("d.mp4", Path("d.mp4"), (Bout("run", 1.0, 2.0, prob=0.5),))
    annotations = Annotations("x", (*empty, full), ("run",))
    assert write_annotations(annotations, tmp_path / "x.tsv") == (
        "boris-events has no place for probabilities: left out, of d.mp4",
        "boris-events has no place for recordings without bouts: left out, of a.mp4 (2 more)",
    )
    assert write_annotations(annotations, tmp_path / "x.csv") == ()
