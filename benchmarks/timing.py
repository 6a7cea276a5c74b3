"""Interleaved timing: machines are noisy, so only ratios of neighbours in time are compared."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    baseline: str
    ratio: float
    """Median over the rounds of (time of the baseline / time of ours)."""
    low: float
    """Smallest ratio of any round."""
    high: float
    """Largest ratio of any round."""
    same: str
    """How equality of the two answers was checked before timing."""
    goal: float | None = None


def compare(
    ours: Callable[[], object], baseline: Callable[[], object], *, rounds: int = 5
) -> tuple[float, float, float]:
    """Run both in turn and return the median, smallest and largest ratio baseline / ours; one warm-up each."""
    ours()
    baseline()
    ratios: list[float] = []
    gc.collect()
    for round_number in range(rounds):
        order = [ours, baseline] if round_number % 2 == 0 else [baseline, ours]
        seconds: dict[Callable[[], object], float] = {}
        for run in order:
            start = time.perf_counter()
            run()
            seconds[run] = time.perf_counter() - start
        ratios.append(seconds[baseline] / seconds[ours])
    return statistics.median(ratios), min(ratios), max(ratios)
