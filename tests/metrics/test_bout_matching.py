"""Matching, average precision and edit distance against their definitions written out."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metrics.annotated import END_S, bout

from lrcn.metrics.bout_matching import average_precision, edit_distance, match_in_order, overlaps
from lrcn.metrics.recording_pairs import Part, parts

KNOWN = [(0.0, float(END_S))]


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_the_edit_distance_is_that_of_the_recursion(one: str, other: str) -> None:
    @functools.cache
    def least(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(least(i - 1, j) + 1, least(i, j - 1) + 1, least(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    assert edit_distance(one, other) == least(len(one), len(other))


def _matrix(found: list[Part], truths: list[Part]) -> np.ndarray:
    """Each with each; 0 where `overlaps` says that they are not near."""
    matrix = np.zeros((len(found), len(truths)))
    for row, (first, iou) in zip(matrix, overlaps(found, truths), strict=True):
        row[first : first + len(iou)] = iou
    return matrix


@given(st.lists(bout, min_size=1, max_size=5), st.lists(bout, min_size=1, max_size=5))
def test_overlaps_count_the_seconds(ours: list, theirs: list) -> None:
    found, truths = parts(ours, KNOWN), parts(theirs, KNOWN)
    for row, one in zip(_matrix(found, truths), found, strict=True):
        for iou, other in zip(row, truths, strict=True):
            first, second = ({*range(int(part.start_s), int(part.end_s))} for part in (one, other))
            assert iou == pytest.approx(len(first & second) / len(first | second))


@given(st.lists(bout, min_size=1, max_size=5), st.lists(bout, min_size=1, max_size=5))
def test_overlaps_are_those_that_banos_gives(ours: list, theirs: list) -> None:
    banos = pytest.importorskip("banos.core.metrics")  # MIT; brings pandas and seaborn, so the tests do without
    found, truths = parts(ours, KNOWN), parts(theirs, KNOWN)
    first, second = ([(int(one.start_s), int(one.end_s) - 1) for one in side] for side in (found, truths))
    mine = _matrix(found, truths)
    assert mine == pytest.approx(np.array([[banos.calculate_tiou(one, other) for other in second] for one in first]))
    mean = mine[mine > 0].mean() if (mine > 0).any() else np.nan
    assert mean == pytest.approx(banos.calculate_so(first, second), nan_ok=True)


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=9), st.integers(1, 12))
def test_average_precision_is_the_area_under_the_envelope(found: list[tuple[int, bool]], num_true: int) -> None:
    """As ActivityNet's `interpolated_prec_rec` is described: points, their envelope from the right, and its area."""
    num_true = max(num_true, sum(hit for _, hit in found))
    ordered = sorted(found, key=lambda one: -one[0])
    points = [(0.0, 0.0)]
    for count in range(1, len(ordered) + 1):
        right = sum(hit for _, hit in ordered[:count])
        points.append((right / num_true, right / count))
    area = 0.0
    for place in range(1, len(points)):
        best = max(precision for _, precision in points[place:])
        area += (points[place][0] - points[place - 1][0]) * best
    probs = np.array([prob for prob, _ in found], dtype=np.float64)
    hits = np.array([hit for _, hit in found], dtype=np.bool_)
    assert average_precision(probs, hits, num_true) == pytest.approx(area)


def test_a_true_bout_is_taken_once() -> None:
    truths = [Part("a", 0.0, 10.0, 1.0, False)]
    found = [Part("a", 0.0, 6.0, 1.0, False), Part("a", 6.0, 10.0, 1.0, False)]
    assert match_in_order(found, truths, 0.5) == (1, 1, 0)
    assert match_in_order(found, truths, 0.7) == (0, 2, 1)
    assert match_in_order([], truths, 0.5) == (0, 0, 1)
    assert match_in_order(found, [], 0.5) == (0, 2, 0)
