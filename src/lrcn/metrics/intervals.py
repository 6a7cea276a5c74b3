"""How sure is a figure? Intervals by drawing recordings anew: what one recording shows is not independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrcn.errors import DataError

T = TypeVar("T")


def bootstrap_interval(
    recordings: Sequence[T],
    figures: Callable[[Sequence[T]], ArrayLike],
    *,
    resamplings: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lower and the upper end of the percentile interval of figures over recordings.

    To compare two models, let an item hold what both of them did on a recording, and `figures` give the differences:
    the bootstrap is then a paired one.

    Args:
        recordings: What is known of each, such as a `RecordingTally`.
        figures: Takes as many recordings, some of them several times and some not at all, and gives one number or an
            array of them; nan where there is nothing to count.
        resamplings: How often they are drawn.
        level: Share of the drawn figures within the interval.
        seed: The same seed draws the same recordings.

    Returns:
        Two arrays of the shape of what `figures` gives. Resamplings without a figure are left out; nan if all are.

    Raises:
        DataError: If there are fewer than two recordings: nothing says how much they differ.
    """
    if len(recordings) < 2:
        raise DataError(f"intervals by recording need two recordings or more, got {len(recordings)}")
    drawn = np.random.default_rng(seed).integers(len(recordings), size=(resamplings, len(recordings)))
    values = np.array([figures([recordings[place] for place in row]) for row in drawn.tolist()], dtype=np.float64)
    missing = np.isnan(values).all(axis=0)
    tail = 50 * (1 - level)
    low, high = np.nanpercentile(np.where(missing, 0.0, values), [tail, 100 - tail], axis=0)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)
