"""Intervals by recording: they cover as often as they say, and know what cannot be known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrcn.errors import DataError
from lrcn.metrics.intervals import bootstrap_interval


def test_the_interval_of_a_mean_is_about_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(5, 2, size=200).tolist()
    low, high = bootstrap_interval(values, lambda drawn: float(np.mean(drawn)), resamplings=2000)
    margin = 1.96 * np.std(values) / math.sqrt(len(values))
    assert float(low) == pytest.approx(np.mean(values) - margin, abs=0.06)
    assert float(high) == pytest.approx(np.mean(values) + margin, abs=0.06)


def test_several_figures_at_once_and_what_is_missing() -> None:
    items = [1.0, 2.0, math.nan, 4.0]

    def figures(drawn) -> list[float]:
        known = [one for one in drawn if not math.isnan(one)]
        return [np.mean(known) if known else math.nan, math.nan]

    low, high = bootstrap_interval(items, figures, resamplings=200)
    assert low.shape == high.shape == (2,)
    assert 1 <= low[0] < high[0] <= 4
    assert np.isnan([low[1], high[1]]).all()


def test_the_seed_decides_and_one_recording_is_too_few() -> None:
    intervals = [bootstrap_interval([1.0, 2.0, 5.0], np.mean, resamplings=50, seed=seed) for seed in (3, 3)]
    assert intervals[0] == intervals[1]
    with pytest.raises(DataError, match="two recordings or more, got 1"):
        bootstrap_interval([1.0], np.mean)


def test_a_paired_difference_is_surer_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0, 1, size=40)
    models = list(zip(hard, hard + 0.1 + rng.normal(0, 0.01, size=40), strict=True))
    low, _ = bootstrap_interval(models, lambda drawn: float(np.mean([b - a for a, b in drawn])), resamplings=200)
    assert low > 0
