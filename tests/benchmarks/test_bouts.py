"""The figures of joined recordings count what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.bouts import Said, figures, share_held, window_figures

from lrcn.bouts import Bout, Recording
from lrcn.config import BoutSettings
from lrcn.inference.recognition.bouts import FoundBouts
from lrcn.inference.recognition.windows import WindowProbs

RULES = BoutSettings(
    smooth_s=0.0, thresholds=(0.5,) * 2, low_thresholds=(0.5,) * 2, shortest_s=(0.0,) * 2, longest_gap_s=(0.0,) * 2
)


def said(probs: list[float]) -> Said:
    """Of a recording that shows `a` for a second, then `b`: what a model says of `a`, frame by frame."""
    truth = Recording("r", None, (Bout("a", 0.0, 1.0), Bout("b", 1.0, 2.0)), looked_at=((0.0, 2.0),), duration_s=2.0)
    windows = WindowProbs(
        tuple((i, i + 1) for i in range(20)), np.stack([probs, 1 - np.array(probs)], axis=1), np.arange(20) / 10, 2.0
    )
    return Said(truth, FoundBouts(windows, RULES, ("a", "b"), exclusive=True))


def test_least_certain_fifth_holds_what_is_wrong_there() -> None:
    doubts = np.arange(10) / 10
    assert share_held(doubts, doubts > 0.65) == pytest.approx(2 / 3)
    assert share_held(doubts, doubts < 0.5) == 0
    assert math.isnan(share_held(doubts, doubts > 2))


def test_figures_of_a_model_that_is_right_and_of_one_that_is_half_right() -> None:
    right = figures([said([0.9] * 10 + [0.1] * 10)], RULES)
    assert right["F1@50"] == right["mAP@0.5"] == right["bouts per true bout"] == right["accuracy of frames"] == 1
    assert right["wrong bouts"] == 0
    half = figures([said([0.9] * 20)], RULES)
    assert half["accuracy of frames"] == 0.5
    assert half["wrong bouts"] == 0  # it overlaps by exactly one half
    assert half["F1@50"] == pytest.approx(2 / 3)
    assert window_figures([said([0.9] * 20)])["wrong windows"] == 0.5
