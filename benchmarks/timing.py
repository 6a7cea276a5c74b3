"""Interleaved timing: machines are noisy, so only ratios of neighbours in time are compared."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
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


Ratio = tuple[float, float, float]
"""Median, smallest and largest over the rounds of (time of the baseline / time of ours)."""


Clock = Callable[[], float]
"""Seconds so far: `time.perf_counter`, or `time.process_time` for the CPU time of all threads, which tells how much
work there is where other programs take turns on the machine."""


def compare(
    ours: Callable[[], object],
    baseline: Callable[[], object],
    *,
    rounds: int = 5,
    clock: Clock = time.perf_counter,
) -> Ratio:
    """Run both in turn and return the ratio baseline / ours; one warm-up each."""
    return compare_all({"ours": ours}, {"baseline": baseline}, rounds=rounds, clock=clock)["ours", "baseline"]


def compare_all(
    ours: Mapping[str, Callable[[], object]],
    baselines: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 5,
    warm_up: bool = True,
    clock: Clock = time.perf_counter,
) -> dict[tuple[str, str], Ratio]:
    """Run each once a round, every other round in the opposite order, and return the ratio of each pair.

    Slow baselines are then run once a round, however many ways are compared with them.
    """
    runs = [*ours.items(), *baselines.items()]
    if warm_up:
        for _, run in runs:
            run()
    seconds: dict[str, list[float]] = {name: [] for name, _ in runs}
    gc.collect()
    for round_number in range(rounds):
        for name, run in runs if round_number % 2 == 0 else reversed(runs):
            start = clock()
            run()
            seconds[name].append(clock() - start)
    ratios = {
        (mine, theirs): [b / a for a, b in zip(seconds[mine], seconds[theirs], strict=True)]
        for mine in ours
        for theirs in baselines
    }
    return {pair: (statistics.median(found), min(found), max(found)) for pair, found in ratios.items()}
