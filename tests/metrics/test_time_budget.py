"""Time budgets against BORIS's own, against figures worked out by hand, and against a count of ticks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.annotations.conftest import REAL, real
from tests.metrics.annotated import END_S, bout, recording

from lrcn.bouts import Bout, Recording
from lrcn.errors import ConfigError
from lrcn.metrics.time_budget import BudgetRow, time_budget, transitions

EVENTS = [
    (1.0, "ann", "hop", "point"),
    (2.0, "ann", "sit", "start"),
    (4.5, "ann", "hop", "point"),
    (6.0, "ann", "sit", "stop"),
    (7.0, "bob", "sit", "start"),
    (9.0, "ann", "sit", "start"),
    (11.0, "ann", "sit", "stop"),
    (12.0, "ann", "sit", "start"),
    (18.0, "ann", "sit", "stop"),
    (19.0, "bob", "sit", "stop"),
]
"""As an event logger lists them; of a recording of 20 s."""

BUDGET = {  # count, total, mean, deviation, mean between, deviation between, latency, percent
    ("ann", "sit"): (3, 12.0, 4.0, 2.0, 2.0, math.sqrt(2), 2.0, 60.0),
    ("ann", "hop"): (2, None, None, None, 3.5, None, 1.0, None),
    ("bob", "sit"): (1, 12.0, 12.0, None, None, None, 7.0, 60.0),
    ("bob", "hop"): (0, 0.0, 0.0, None, None, None, None, 0.0),
}
"""By hand."""


def _recording(events: list[tuple[float, str, str, str]], duration_s: float) -> Recording:
    bouts, started = [], {}
    for time_s, subject, label, kind in events:
        if kind == "start":
            started[subject, label] = time_s
        else:
            start_s = time_s if kind == "point" else started.pop((subject, label))
            bouts.append(Bout(label, start_s, time_s, subject))
    bouts.sort(key=lambda one: one.start_s)
    return Recording("day 1", None, tuple(bouts), looked_at=((0.0, math.inf),), duration_s=duration_s)


def _figures(row: BudgetRow) -> tuple[float | None, ...]:
    return (
        row.count,
        row.total_s,
        row.mean_s,
        row.deviation_s,
        row.between_mean_s,
        row.between_deviation_s,
        row.latency_s,
        row.percent,
    )


def test_who_was_watched_and_did_nothing_has_rows_of_zeros() -> None:
    recording = replace(_recording(EVENTS, 20.0), idle_subjects=("zoe",))
    rows = time_budget([recording], ["sit", "hop"])
    assert [(row.subject, row.label) for row in rows] == [*BUDGET, ("zoe", "sit"), ("zoe", "hop")]
    for row in rows[-2:]:
        assert _figures(row) == pytest.approx(BUDGET["bob", "hop"])
    nobody = Recording("day 2", None, (), looked_at=((0.0, 9.0),), idle_subjects=("ann", "bob"))
    assert [row.subject for row in time_budget([nobody], ["sit"])] == ["ann", "bob"]
    assert {(row.subject, row.count) for row in transitions([nobody], ["sit"])} == {("ann", 0), ("bob", 0)}


def test_figures_are_those_worked_out_by_hand() -> None:
    rows = time_budget([_recording(EVENTS, 20.0)], ["sit", "hop"])
    assert [(row.subject, row.label) for row in rows] == list(BUDGET)
    for row in rows:
        assert (row.recording, row.start_s, row.end_s) == ("day 1", 0.0, 20.0)
        assert _figures(row) == pytest.approx(BUDGET[row.subject, row.label])


@real
def test_figures_are_those_of_boris() -> None:
    observation = json.loads((REAL / "test.boris").read_text())["observations"]["observation #1"]
    running: set[tuple[str, str]] = set()
    events = []
    for time_s, subject, label, *_ in observation["events"]:
        kind = "stop" if (subject, label) in running else "start"
        running ^= {(subject, label)}
        events.append((time_s, subject, label, kind))
    (length,) = observation["media_info"]["length"].values()
    rows = time_budget([_recording(events, length)], ["p", "s"])
    expected = json.loads((REAL / "test_time_budget1.json").read_text())
    assert len(rows) == len(expected)
    for row, theirs in zip(rows, expected, strict=True):
        assert (row.subject, row.label, row.count) == (theirs["subject"], theirs["behavior"], int(theirs["number"]))
        for ours, name in (
            (row.total_s, "duration"),
            (row.mean_s, "duration_mean"),
            (row.deviation_s, "duration_stdev"),
            (row.between_mean_s, "inter_duration_mean"),
            (row.between_deviation_s, "inter_duration_stdev"),
        ):
            assert ("NA" if ours is None else pytest.approx(ours, abs=5e-4)) == theirs[name], name


@given(st.lists(bout, max_size=8), st.sampled_from([7.0, 10.0, 40.0, 100.0]))
def test_bins_are_those_of_a_count_of_seconds(bouts: list[Bout], bin_s: float) -> None:
    rows = time_budget([recording(bouts, ((0.0, math.inf),))], ["a", "b"], bin_s=bin_s)
    assert len(rows) == 2 * math.ceil(END_S / bin_s)
    for row in rows:
        assert row.end_s is not None
        seconds = range(int(row.start_s), int(row.end_s))
        own = [one for one in bouts if one.label == row.label]
        lengths = [n for one in own if (n := sum(one.start_s <= s < one.end_s for s in seconds))]
        assert (row.count, row.total_s) == (len(lengths), sum(lengths))
        assert row.mean_s == pytest.approx(mean(lengths) if lengths else 0)
        assert row.deviation_s == pytest.approx(stdev(lengths) if len(lengths) > 1 else None)
        assert row.percent == pytest.approx(100 * sum(lengths) / len(seconds))
        first = [s - row.start_s for s in seconds if any(one.start_s <= s < one.end_s for one in own)]
        assert row.latency_s == (first[0] if first else None)
    for label in "ab":
        whole = sum(one.duration_s for one in bouts if one.label == label)
        assert sum(row.total_s or 0 for row in rows if row.label == label) == whole


def test_time_not_looked_at_is_no_part_of_the_whole() -> None:
    bouts = (Bout("a", 12.0, 16.0), Bout("a", 30.0, 31.0))
    (row,) = time_budget([Recording("r", None, bouts, looked_at=((10.0, 20.0), (30.0, 40.0)), duration_s=60.0)])
    assert (row.percent, row.latency_s) == (25.0, 2.0)
    (row,) = time_budget([Recording("r", None, bouts, duration_s=60.0)])
    assert (row.percent, row.total_s) == (None, 5.0)  # only the bouts are known
    (row,) = time_budget([Recording("r", None, bouts, looked_at=((0.0, math.inf),))])
    assert (row.percent, row.end_s) == (None, None)


def test_no_event_is_lost_at_an_end() -> None:
    bouts = (Bout("hop", 0.0, 0.0), Bout("hop", 10.0, 10.0), Bout("hop", 20.0, 20.0), Bout("sit", 18.0, 21.0))
    events = Recording("r", None, bouts, looked_at=((0.0, math.inf),), duration_s=20.0)
    assert [(row.label, row.count) for row in time_budget([events])] == [("hop", 3), ("sit", 1)]
    assert [row.count for row in time_budget([events], ["hop"], bin_s=10.0)] == [1, 2]
    assert time_budget([events], ["sit"])[0].total_s == 3.0


@pytest.mark.parametrize("bin_s", [0.0, -1.0, math.nan, math.inf])
def test_bins_have_a_length(bin_s: float) -> None:
    with pytest.raises(ConfigError, match="longer than 0 seconds"):
        time_budget([], bin_s=bin_s)


@given(st.lists(bout, max_size=10, unique_by=lambda one: (one.start_s, one.end_s)))
def test_transitions_are_the_neighbours_by_start(bouts: list[Bout]) -> None:
    rows = transitions([recording(bouts, None)], "abc")
    order = [one.label for one in sorted(bouts, key=lambda one: (one.start_s, one.end_s))]
    steps = list(pairwise(order))
    assert [(row.before, row.after) for row in rows] == [(x, y) for x in "abc" for y in "abc"]
    for row in rows:
        after = [step for step in steps if step[0] == row.before]
        assert row.count == after.count((row.before, row.after))
        assert row.share == pytest.approx(row.count / len(after) if after else None)


def test_transitions_of_a_subject_are_its_own_and_stay_within_a_span() -> None:
    rows = transitions([_recording(EVENTS, 20.0)], ["hop", "sit"])
    counts = {(row.subject, row.before, row.after): (row.count, row.share) for row in rows}
    assert counts["ann", "hop", "sit"] == (2, 1.0)
    assert counts["ann", "sit", "hop"] == (1, 0.5)
    assert counts["ann", "sit", "sit"] == (1, 0.5)
    assert counts["bob", "sit", "sit"] == (0, None)
    bouts = (Bout("a", 1.0, 2.0), Bout("b", 3.0, 4.0), Bout("a", 11.0, 12.0))
    apart = transitions([Recording("r", None, bouts, looked_at=((0.0, 5.0), (10.0, 15.0)))])
    assert [(row.before, row.after) for row in apart if row.count] == [("a", "b")]
