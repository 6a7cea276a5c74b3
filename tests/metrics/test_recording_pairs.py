"""Which time counts, tick by tick, and which recordings belong together."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metrics.annotated import END_S, bout, looked_at, recording

from lrcn.bouts import Bout, Recording
from lrcn.errors import DataError
from lrcn.metrics.recording_pairs import (
    all_labels,
    end_of,
    known_time,
    number_of_ticks,
    pair_recordings,
    parts,
    presence,
    shared,
    without_doubtful,
)


@given(st.lists(bout, max_size=5), looked_at, st.lists(bout, max_size=5))
def test_known_is_what_a_bout_covers_or_was_looked_at(true: list[Bout], spans, found: list[Bout]) -> None:
    known = known_time(recording(true, spans), END_S)
    for second in range(END_S):
        inside = any(one.start_s <= second < one.end_s for one in true)
        inside |= any(start <= second < end for start, end in spans or ())
        assert any(start <= second < end for start, end in known) == inside
        for label in "abc":
            shown = any(one.label == label and one.start_s <= second < one.end_s for one in found)
            own = [part for part in parts(found, known) if part.label == label]
            assert any(part.start_s <= second < part.end_s for part in own) == (shown and inside)


@given(st.lists(bout, max_size=4), st.lists(bout, max_size=4))
def test_shared_time_lies_in_both(ones: list[Bout], others: list[Bout]) -> None:
    sides = [known_time(recording(bouts, None), END_S) for bouts in (ones, others)]
    both = presence(shared(*sides), END_S, 1.0)
    assert (both == presence(sides[0], END_S, 1.0) & presence(sides[1], END_S, 1.0)).all()


def test_a_part_is_doubtful_where_most_of_its_bout_is_unknown() -> None:
    known = [(0.0, 10.0), (20.0, 22.0)]
    bouts = [Bout("a", 8.0, 14.0), Bout("b", 6.0, 14.0), Bout("c", 9.0, 21.0), Bout("point", 5.0, 5.0)]
    found = parts(bouts, known)
    assert [(part.label, *part[1:3], part.doubtful) for part in found] == [
        ("b", 6.0, 10.0, False),
        ("a", 8.0, 10.0, True),
        ("c", 9.0, 10.0, True),
        ("c", 20.0, 21.0, True),
    ]
    truths = parts([Bout("c", 0.0, 10.0), Bout("a", 0.0, 8.0)], known)
    assert [part[:2] for part in without_doubtful(found, truths)] == [("b", 6.0), ("c", 9.0)]


def test_decimals_do_not_move_a_tick() -> None:
    assert presence([(0.3, 0.7)], 10).tolist() == [False] * 3 + [True] * 4 + [False] * 3
    assert [number_of_ticks(count / 10) for count in range(100)] == list(range(100))
    assert number_of_ticks(0.05) == 0  # a middle lies in the tick that starts with it
    assert number_of_ticks(0.051) == 1


def test_the_end_is_stated_or_else_the_last_that_is_known() -> None:
    one = Recording("a", None, (Bout("x", 1.0, 5.0),), looked_at=((0.0, math.inf),))
    assert end_of(one) == 5.0
    assert end_of(one, Recording("a", None, (), looked_at=((0.0, 8.0),))) == 8.0
    assert end_of(one, Recording("a", None, (), duration_s=3.0)) == 3.0


def test_recordings_are_paired_by_name_then_by_video() -> None:
    def named(name: str, path: str | None = None) -> Recording:
        return Recording(name, Path(path) if path else None, ())

    truths = [named("obs 1", "v/m1.mp4"), named("m2", "v/other.mp4"), named("m3"), named("alone")]
    others = [named("m2", "x/y.mp4"), named("m3.mp4", "w/m3.mp4"), named("o", "w/m1.mp4"), named("left")]
    pairs, alone = pair_recordings(truths, others)
    assert [(pair.truth.name, pair.other.name) for pair in pairs] == [("obs 1", "o"), ("m2", "m2"), ("m3", "m3.mp4")]
    assert alone == ["alone", "left"]
    with pytest.raises(DataError, match="m2: several recordings"):
        pair_recordings([named("m2"), named("m2")], [named("m2")])


def test_a_label_is_given_once() -> None:
    with pytest.raises(DataError, match="'a' is given twice"):
        all_labels([], ["a", "b", "a"])
