"""Agreement against scikit-learn's kappa on frames, and on cases worked out by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from tests.metrics.annotated import END_S, LABELS, bout, recording

from lrcn.bouts import Bout
from lrcn.metrics.agreement import agreement, cohen_kappa
from lrcn.metrics.recording_pairs import Pair

pair = st.builds(
    lambda ones, others, spans: Pair(recording(ones, spans[0]), recording(others, spans[1])),
    st.lists(bout, max_size=6),
    st.lists(bout, max_size=6),
    st.tuples(*[st.sampled_from([None, ((0.0, 40.0),), ((5.0, 20.0), (30.0, math.inf))])] * 2),
)


def _shown(view, second: int) -> set[str] | None:
    labels = {one.label for one in view.bouts if one.start_s <= second < one.end_s}
    looked = any(start <= second < end for start, end in view.looked_at or ())
    return labels if labels or looked else None


def _kappa(ones: list[str], others: list[str]) -> float:
    if len({*ones, *others}) < 2:
        return math.nan
    return float(cohen_kappa_score(ones, others))


@settings(max_examples=40)
@given(st.lists(pair, min_size=1, max_size=3))
def test_kappa_is_that_of_scikit_learn_on_frames_that_both_know(pairs: list[Pair]) -> None:
    frames = [
        tuple(shown)
        for one in pairs
        for second in range(END_S)
        if None not in (shown := [_shown(view, second) for view in one])
    ]
    found = agreement(pairs, LABELS, tick_s=1.0)
    assert found.known_s == len(frames)
    ones, others = (["+".join(sorted(frame[side])) for frame in frames] for side in (0, 1))
    assert found.kappa == pytest.approx(_kappa(ones, others), nan_ok=True)
    assert found.observed == pytest.approx(
        np.mean(np.array(ones) == np.array(others)) if ones else math.nan, nan_ok=True
    )
    for label in LABELS:
        ones, others = ([str(label in frame[side]) for frame in frames] for side in (0, 1))
        assert found.classes[label].kappa == pytest.approx(_kappa(ones, others), nan_ok=True)


def test_the_textbook_example() -> None:
    """Fifty grants, two readers: both yes 20, both no 15; observed 0.7, by chance 0.5."""
    counts = Counter({("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15})
    assert cohen_kappa(counts) == pytest.approx(0.4)
    assert math.isnan(cohen_kappa(Counter({("yes", "yes"): 3})))
    assert math.isnan(cohen_kappa(Counter()))


def test_bouts_agree_at_the_iou_asked_for_and_only_where_both_looked() -> None:
    one = recording([Bout("a", 0.0, 10.0), Bout("a", 20.0, 30.0), Bout("b", 36.0, 39.0)], ((0.0, 40.0),))
    other = recording([Bout("a", 0.0, 10.0), Bout("a", 24.0, 30.0)], ((0.0, 35.0),))
    assert agreement([Pair(one, other)]).f1 == 1.0
    strict = agreement([Pair(one, other)], iou=0.7)
    assert strict.f1 == pytest.approx(0.5)
    assert math.isnan(strict.classes["b"].f1)
    assert (strict.classes["a"].share_one, strict.classes["a"].share_other) == pytest.approx((20 / 35, 16 / 35))
    back = agreement([Pair(other, one)], iou=0.7)
    assert (back.kappa, back.f1) == pytest.approx((strict.kappa, strict.f1))
