from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrcn.bouts import BACKGROUND, Bout, Recording
from lrcn.config import BoutSettings
from lrcn.inference.recognition.bout_fitting import KnownRecording, fit_bout_settings
from lrcn.inference.recognition.bouts import bouts_of
from lrcn.metrics.recording_pairs import Pair
from lrcn.metrics.temporal import TemporalScores, temporal_scores

FRAME_S = 0.1
LABELS = ("groom", "rear", BACKGROUND)


def noisy_recording(seed: int, *, several: bool = False) -> KnownRecording:
    """Bouts of 2 to 4 s, and a model that is right on the whole but says something else for a moment now and then."""
    rng = np.random.default_rng(seed)
    bouts, shown, frame = [], np.zeros((700, 3)), 5
    while frame < 620:
        label_id, length = int(rng.integers(2)), int(rng.integers(20, 40))
        bouts.append(Bout(LABELS[label_id], frame * FRAME_S, (frame + length) * FRAME_S))
        shown[frame : frame + length, label_id] = 1
        if several and rng.random() < 0.5:
            shown[frame : frame + length, 1 - label_id] = 1
            bouts.append(replace(bouts[-1], label=LABELS[1 - label_id]))
        frame += length + int(rng.integers(15, 30))
    shown[:, 2] = shown[:, :2].sum(axis=1) == 0
    for _ in range(60):  # moments of half a second
        start = int(rng.integers(695))
        shown[start : start + int(rng.integers(1, 5))] = np.eye(3)[rng.integers(3)]
    probs = 0.15 + 0.55 * shown + rng.uniform(0, 0.1, shown.shape)
    if not several:
        probs /= probs.sum(axis=1, keepdims=True)
    truth = Recording(f"r{seed}", None, tuple(bouts), looked_at=((0.0, 70.0),), duration_s=70.0)
    return KnownRecording(truth, probs.astype(np.float32), np.arange(701) * FRAME_S)


def scores(recordings: list[KnownRecording], rules: BoutSettings, *, exclusive: bool) -> TemporalScores:
    pairs = []
    for one in recordings:
        found = bouts_of(one.probs, one.borders_s, LABELS, rules, exclusive=exclusive)
        pairs.append(Pair(one.truth, replace(one.truth, bouts=found)))
    return temporal_scores(pairs, LABELS[:2])


@pytest.mark.parametrize("exclusive", [True, False])
def test_fitted_settings_find_the_bouts_of_other_recordings(exclusive: bool) -> None:
    seen = [noisy_recording(seed, several=not exclusive) for seed in range(2)]
    others = [noisy_recording(seed, several=not exclusive) for seed in range(10, 13)]
    rules = fit_bout_settings(seen, LABELS, clip_s=1.6, exclusive=exclusive)
    assert rules is not None
    naive = BoutSettings(
        smooth_s=0.0, thresholds=(0.5,) * 3, low_thresholds=(0.5,) * 3, shortest_s=(0.0,) * 3, longest_gap_s=(0.0,) * 3
    )
    before, after = (scores(others, each, exclusive=exclusive) for each in (naive, rules))
    assert before.f1_at[0.5] < 0.75  # otherwise there is nothing to gain
    assert after.f1_at[0.5] > 0.9
    assert after.bouts_per_true_bout == pytest.approx(1, abs=0.1)
    assert rules == fit_bout_settings(seen, LABELS, clip_s=1.6, exclusive=exclusive)


def test_a_class_that_the_model_is_timid_about_gets_a_lower_threshold() -> None:
    known = [noisy_recording(seed, several=True) for seed in range(3)]
    timid = [replace(one, probs=one.probs * np.float32([1, 0.45, 1])) for one in known]
    rules = fit_bout_settings(timid, LABELS, clip_s=1.6, exclusive=False)
    assert rules is not None
    assert rules.thresholds[1] < rules.thresholds[0] or max(rules.thresholds) < 0.4
    assert scores(timid, rules, exclusive=False).classes["rear"].f1 > 0.8


def test_the_lag_of_a_model_is_found() -> None:
    late = []
    for seed in range(2):
        known = noisy_recording(seed)
        late.append(replace(known, probs=np.concatenate([known.probs[:1].repeat(5, axis=0), known.probs[:-5]])))
    rules = fit_bout_settings(late, LABELS, clip_s=2.4, exclusive=True)
    assert rules is not None
    assert rules.lag_s == pytest.approx(0.5, abs=0.11)


def test_what_was_not_looked_at_does_not_count() -> None:
    known = noisy_recording(0)
    half = replace(known.truth, looked_at=((0.0, 35.0),), bouts=tuple(b for b in known.truth.bouts if b.end_s < 35))
    nonsense = known.probs.copy()
    nonsense[450:] = np.random.default_rng(0).dirichlet([1] * 3, 250)  # further off than any gap that is closed
    fitted = [
        fit_bout_settings([KnownRecording(half, probs, known.borders_s)], LABELS, clip_s=1.6, exclusive=True)
        for probs in (known.probs, nonsense)
    ]
    assert fitted[0] == fitted[1]


def test_without_bouts_there_is_nothing_to_fit() -> None:
    known = noisy_recording(0)
    nothing = KnownRecording(replace(known.truth, bouts=()), known.probs, known.borders_s)
    assert fit_bout_settings([nothing], LABELS, clip_s=1.6, exclusive=True) is None
