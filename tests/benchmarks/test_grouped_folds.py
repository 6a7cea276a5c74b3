from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from benchmarks.grouped_folds import grouped_folds, interval_by_group, number_of_folds

GROUPS = [f"g{number % 17:02}" for number in range(100)] + ["large"] * 40
"""18 groups of 5, 6 and 40 clips."""


def test_every_clip_is_judged_once_and_no_group_is_on_both_sides() -> None:
    folds = grouped_folds(GROUPS, 5)
    assert sorted(chain.from_iterable(fold.judged.tolist() for fold in folds)) == list(range(140))
    for fold in folds:
        assert sorted([*fold.trained, *fold.judged]) == list(range(140))
        assert not {GROUPS[clip] for clip in fold.trained} & {GROUPS[clip] for clip in fold.judged}


def test_folds_are_about_equal_in_clips() -> None:
    sizes = sorted(len(fold.judged) for fold in grouped_folds(GROUPS, 5))
    assert sizes[-1] == 40  # the large group is alone
    assert sizes[-2] - sizes[0] <= 6


def test_few_groups_are_left_out_one_by_one() -> None:
    assert number_of_folds(["a", "b", "b", "c"], 5) == 3
    assert number_of_folds(GROUPS, 5) == 5
    assert [len(fold.judged) for fold in grouped_folds(["a", "b", "b", "c"], 3)] == [2, 1, 1]


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(SystemExit, match="5 folds of 3 groups"):
        grouped_folds(["a", "b", "c"], 5)
    with pytest.raises(SystemExit, match="1 folds of 1 groups"):
        grouped_folds(["a", "a"], 1)


def test_the_interval_is_wider_where_whole_groups_fail_together() -> None:
    groups = [f"g{number // 10}" for number in range(100)]
    together = np.repeat([1.0, 0.0], 50)
    spread = np.tile([1.0, 0.0], 50)
    low, high = interval_by_group(together, groups)
    assert low < 0.25
    assert high > 0.75
    assert interval_by_group(spread, groups) == (0.5, 0.5)
