"""Bouts: cutting, joining, overlaps, each against a count of small ticks."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from lrcn.bouts import Bout, overlap_each_other, overlap_s, pieces, union

TICKS = 40
span = st.tuples(st.integers(0, TICKS), st.integers(0, TICKS)).map(lambda pair: (float(min(pair)), float(max(pair))))
bout = st.builds(lambda label, ends: Bout(label, *ends), st.sampled_from("abc"), span)


def _shown(bouts: list[Bout], tick: int) -> tuple[str, ...]:
    return tuple(sorted({bout.label for bout in bouts if bout.start_s <= tick < bout.end_s}))


@given(st.lists(span, max_size=8))
def test_a_union_covers_the_same_ticks_in_order_and_once(spans: list[tuple[float, float]]) -> None:
    """Every tick lies in the union as often as it should: once, or never."""
    joined = union(spans)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(joined))
    for tick in range(TICKS):
        inside = any(start <= tick < end for start, end in spans)
        assert sum(start <= tick < end for start, end in joined) == inside


@given(st.lists(bout, max_size=8), st.none() | st.lists(span, max_size=3))
def test_pieces_show_what_each_tick_shows(bouts: list[Bout], looked_at: list[tuple[float, float]] | None) -> None:
    """What a piece says is true at each of its ticks, and each tick that is known lies in one piece."""
    cut = pieces(bouts, looked_at)
    for before, after in itertools.pairwise(cut):
        assert before[1] < after[0] or (before[1] == after[0] and before[2] != after[2])
    for tick in range(TICKS):
        own = [labels for start, end, labels in cut if start <= tick < end]
        known = any(start <= tick < end for start, end in looked_at or [])
        assert own == ([_shown(bouts, tick)] if known or _shown(bouts, tick) else [])


def test_what_was_looked_at_to_the_end_has_no_end() -> None:
    """An annotator who finished the recording need not know how long it is."""
    assert pieces([Bout("a", 1.0, 2.0)], [(0.0, math.inf)]) == [
        (0.0, 1.0, ()),
        (1.0, 2.0, ("a",)),
        (2.0, math.inf, ()),
    ]


@given(st.lists(bout, max_size=8), st.integers(0, 5))
def test_overlaps_are_those_of_all_pairs(bouts: list[Bout], tolerance: int) -> None:
    """As many pairs as a look at each pair finds."""
    expected = sum(
        one.label != other.label and overlap_s((one.start_s, one.end_s), (other.start_s, other.end_s)) > tolerance
        for one, other in itertools.combinations(bouts, 2)
    )
    assert len(overlap_each_other(bouts, tolerance_s=float(tolerance))) == expected
