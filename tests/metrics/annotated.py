"""Recordings drawn for tests: bouts on whole seconds, so that a tick of a second shows them exactly."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from lrcn.bouts import Bout, Recording
from lrcn.metrics.recording_pairs import Pair

LABELS = ("a", "b", "c")
END_S = 40

span = st.tuples(st.integers(0, END_S - 1), st.integers(1, 12)).map(
    lambda pair: (float(pair[0]), float(min(END_S, sum(pair))))
)
bout = st.builds(lambda label, ends: Bout(label, *ends), st.sampled_from(LABELS), span)
sure_bout = st.builds(lambda one, prob: replace(one, prob=prob), bout, st.integers(1, 20).map(lambda n: n / 20))
looked_at = st.none() | st.lists(span, max_size=2).map(tuple) | st.just(((0.0, float("inf")),))


def recording(bouts: list[Bout], looked_at: tuple[tuple[float, float], ...] | None, name: str = "r") -> Recording:
    ordered = tuple(sorted(bouts, key=lambda one: one.start_s))
    return Recording(name, None, ordered, looked_at=looked_at, duration_s=float(END_S))


def pairs_of(looked_at: st.SearchStrategy) -> st.SearchStrategy[list[Pair]]:
    """Some recordings, each with its truth and what is predicted of it."""
    pair = st.builds(
        lambda true, found, spans: Pair(recording(true, spans), recording(found, None)),
        st.lists(bout, max_size=6),
        st.lists(sure_bout, max_size=6),
        looked_at,
    )
    return st.lists(pair, min_size=1, max_size=3)


finished = st.just(((0.0, float(END_S)),))


def in_turn(bouts: list[Bout]) -> list[Bout]:
    """Without overlap: each bout is cut where the next starts."""
    ordered = sorted({one.start_s: one for one in bouts}.values(), key=lambda one: one.start_s)
    ends = [one.start_s for one in [*ordered[1:], Bout("", END_S, END_S)]][: len(ordered)]
    return [replace(one, end_s=min(one.end_s, end)) for one, end in zip(ordered, ends, strict=True)]
