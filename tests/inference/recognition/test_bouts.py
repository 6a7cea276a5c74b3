from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Bout
from lrcn.config import BoutSettings, PreprocessConfig, RecognitionHeader
from lrcn.inference.recognition.bouts import (
    FoundBouts,
    bout_stride,
    bouts_of,
    default_settings,
    doubt,
    frame_probs,
    own_windows,
    smoothed,
    without_lag,
)
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.models.recognition import RecognitionModel
from lrcn.video.sampling import clip_windows

FRAME_S = 0.1
LABELS = ("rest", "groom", BACKGROUND)


def windows_of(num_frames: int, length: int, stride: int, seed: int = 0, num_classes: int = 3) -> WindowProbs:
    ranges = tuple(clip_windows(num_frames, length, stride))
    probs = np.random.default_rng(seed).dirichlet([0.3] * num_classes, len(ranges))
    return WindowProbs(ranges, probs, np.arange(num_frames) * FRAME_S, num_frames * FRAME_S)


@given(num_frames=st.integers(1, 60), length=st.integers(1, 16), stride=st.integers(1, 16), seed=st.integers(0, 99))
def test_a_frame_gets_the_windows_that_cover_it_by_how_near_their_middle_is(
    num_frames: int, length: int, stride: int, seed: int
) -> None:
    windows = windows_of(num_frames, length, min(stride, length), seed)
    found = frame_probs(windows)
    assert found.shape == (num_frames, 3)
    for frame in range(num_frames):
        total, weight = np.zeros(3), 0.0
        for (start, end), probs in zip(windows.windows, windows.probs, strict=True):
            if start <= frame < end:
                away = abs(frame - (start + end - 1) / 2) / ((end - start) / 2)
                total += (1 - away) ** 2 * probs
                weight += (1 - away) ** 2
        assert found[frame] == pytest.approx(total / weight, abs=1e-5)


@given(num_frames=st.integers(1, 50), smooth_s=st.floats(0, 3), seed=st.integers(0, 99))
def test_smoothing_is_the_mean_over_the_frames_around(num_frames: int, smooth_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.random((num_frames, 2)).astype(np.float32)
    borders_s = np.cumsum(rng.random(num_frames + 1) * 0.2)
    found = smoothed(probs, borders_s, smooth_s)
    for frame in range(num_frames):
        near = [i for i in range(num_frames) if abs(borders_s[i] - borders_s[frame]) <= smooth_s / 2 + 1e-6]
        assert found[frame] == pytest.approx(probs[near].mean(axis=0), abs=1e-5)


@given(num_frames=st.integers(1, 50), lag_s=st.floats(0, 3), seed=st.integers(0, 99))
def test_without_lag_a_frame_gets_what_is_said_later(num_frames: int, lag_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.random((num_frames, 2)).astype(np.float32)
    borders_s = np.cumsum(rng.random(num_frames + 1) * 0.2)
    found = without_lag(probs, borders_s, lag_s)
    for frame in range(num_frames):
        shown = [i for i in range(num_frames) if borders_s[i] <= borders_s[frame] + lag_s + 1e-6]
        assert np.array_equal(found[frame], probs[shown[-1]])


def by_hand(
    probs: NDArray[np.float32], borders_s: NDArray[np.float64], rules: BoutSettings, *, exclusive: bool
) -> list[tuple[str, int, int]]:
    """Frame by frame, with sets and lists: an independent reading of what `BoutSettings` says."""
    smooth = smoothed(probs, borders_s, rules.smooth_s)
    runs: list[list[int]] = []
    for label_id, label in enumerate(LABELS):
        open_run: list[int] = []
        for frame in range(len(probs) + 1):
            shown = (
                label != BACKGROUND
                and frame < len(probs)
                and smooth[frame, label_id] >= np.float32(rules.low_thresholds[label_id])
                and not (exclusive and max(range(3), key=lambda i: (smooth[frame, i], -i)) != label_id)
            )
            if shown:
                open_run.append(frame)
            elif open_run:
                if any(smooth[i, label_id] >= np.float32(rules.thresholds[label_id]) for i in open_run):
                    runs.append([label_id, open_run[0], frame])
                open_run = []

    def close(runs: list[list[int]]) -> list[list[int]]:
        again = True
        while again:
            again = False
            for one, other in itertools.permutations(runs, 2):
                gap_s = borders_s[other[1]] - borders_s[one[2]]
                between = any(
                    third[1] >= one[2] and third[2] <= other[1] and third not in (one, other)
                    for third in runs
                    if exclusive or third[0] == one[0]
                )
                near = gap_s <= rules.longest_gap_s[one[0]] + 1e-6
                if one[0] == other[0] and one[2] <= other[1] and near and not between:
                    runs = [run for run in runs if run not in (one, other)] + [[one[0], one[1], other[2]]]
                    again = True
                    break
        return runs

    runs = close(runs)
    runs = [run for run in runs if borders_s[run[2]] - borders_s[run[1]] >= rules.shortest_s[run[0]] - 1e-6]
    return sorted((LABELS[i], start, end) for i, start, end in close(runs))


@st.composite
def recordings(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float64], BoutSettings]:
    num_frames, seed = draw(st.integers(1, 60)), draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    held = rng.dirichlet([0.4] * 3, num_frames)[np.sort(rng.integers(0, num_frames, num_frames))]
    three = st.tuples(*[st.floats(0, 1)] * 3)
    low, share = draw(three), draw(three)
    rules = BoutSettings(
        smooth_s=draw(st.floats(0, 1)),
        low_thresholds=low,
        thresholds=tuple(a + (1 - a) * b * 0.7 for a, b in zip(low, share, strict=True)),
        shortest_s=draw(three),
        longest_gap_s=draw(three),
    )
    return held.astype(np.float32), np.arange(num_frames + 1) * FRAME_S, rules


@settings(max_examples=200)
@given(recording=recordings(), exclusive=st.booleans())
def test_bouts_are_those_found_by_hand(
    recording: tuple[NDArray[np.float32], NDArray[np.float64], BoutSettings], exclusive: bool
) -> None:
    probs, borders_s, rules = recording
    found = bouts_of(probs, borders_s, LABELS, rules, exclusive=exclusive)
    as_frames = [(bout.label, round(bout.start_s / FRAME_S), round(bout.end_s / FRAME_S)) for bout in found]
    assert sorted(as_frames) == by_hand(probs, borders_s, rules, exclusive=exclusive)
    for bout, (_, start, end) in zip(found, as_frames, strict=True):
        assert bout.prob == pytest.approx(probs[start:end, LABELS.index(bout.label)].mean(), abs=1e-6)


@settings(max_examples=200)
@given(recording=recordings(), exclusive=st.booleans())
def test_bouts_keep_the_rules(
    recording: tuple[NDArray[np.float32], NDArray[np.float64], BoutSettings], exclusive: bool
) -> None:
    probs, borders_s, rules = recording
    found = bouts_of(probs, borders_s, LABELS, rules, exclusive=exclusive)
    assert list(found) == sorted(found, key=lambda bout: (bout.start_s, bout.end_s))
    for bout in found:
        assert bout.label != BACKGROUND
        assert 0 <= bout.start_s < bout.end_s <= borders_s[-1]
        assert bout.duration_s >= rules.shortest_s[LABELS.index(bout.label)] - 1e-5
    groups = [list(found)] if exclusive else [[b for b in found if b.label == label] for label in LABELS]
    for one, other in itertools.chain.from_iterable(itertools.pairwise(group) for group in groups):
        assert other.start_s >= one.end_s - 1e-9
        if one.label == other.label:
            assert other.start_s - one.end_s > rules.longest_gap_s[LABELS.index(one.label)] - 1e-5


def test_bouts_reach_the_first_and_the_last_moment() -> None:
    windows = windows_of(40, 16, 2, num_classes=2)
    sure = WindowProbs(windows.windows, np.tile([1.0, 0.0], (len(windows.windows), 1)), windows.times_s, 4.05)
    rules = BoutSettings(
        smooth_s=1.0, thresholds=(0.9,) * 2, low_thresholds=(0.9,) * 2, shortest_s=(0.5,) * 2, longest_gap_s=(0.0,) * 2
    )
    found = FoundBouts(sure, rules, ("a", "b"), True)
    assert found.bouts == (Bout("a", 0.0, 4.05, prob=1.0),)
    assert FoundBouts(sure, replace(rules, lag_s=0.7), ("a", "b"), True).bouts == found.bouts


def test_a_short_bout_between_two_of_another_class_goes_and_they_are_one() -> None:
    probs = np.zeros((30, 3), np.float32)
    probs[:, 0] = 0.9
    probs[14:16] = (0.1, 0.9, 0)
    rules = BoutSettings(
        smooth_s=0.0, thresholds=(0.5,) * 3, low_thresholds=(0.3,) * 3, shortest_s=(0.5,) * 3, longest_gap_s=(0.4,) * 3
    )
    found = bouts_of(probs, np.arange(31) * FRAME_S, LABELS, rules, exclusive=True)
    assert [(bout.label, bout.start_s, bout.end_s) for bout in found] == [("rest", 0.0, pytest.approx(3.0))]


def test_doubt_is_greatest_where_two_classes_are_as_likely() -> None:
    probs = np.zeros((60, 3))
    probs[:30, 0], probs[30:, 1] = 0.95, 0.55
    probs[30:, 0] = 0.45
    ranges = tuple((i, i + 1) for i in range(60))
    windows = WindowProbs(ranges, probs, np.arange(60) * FRAME_S, 6.0)
    rules = BoutSettings(
        smooth_s=0.0, thresholds=(0.5,) * 3, low_thresholds=(0.3,) * 3, shortest_s=(0.5,) * 3, longest_gap_s=(0.4,) * 3
    )
    found = FoundBouts(windows, rules, LABELS, True)
    sure, doubtful = doubt(found)
    assert sure == pytest.approx(0.05, abs=0.05)
    assert doubtful == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(("length", "stride"), [(16, 8), (24, 4), (16, 3), (1, 1), (5, 5), (30, 10)])
@pytest.mark.parametrize("num_frames", [1, 15, 16, 40, 41, 99])
def test_the_windows_of_a_call_are_among_those_for_bouts(length: int, stride: int, num_frames: int) -> None:
    preprocess = PreprocessConfig(clip_length=length, clip_stride=stride)
    fine = windows_of(num_frames, length, bout_stride(preprocess))
    own = own_windows(fine, preprocess)
    assert list(own.windows) == clip_windows(num_frames, length, stride)
    by_range = dict(zip(fine.windows, fine.probs.tolist(), strict=True))
    assert own.probs.tolist() == [by_range[window] for window in own.windows]


def test_found_bouts_do_not_depend_on_chunks(tiny: tuple[RecognitionHeader, RecognitionModel]) -> None:
    header, model = tiny
    frames = np.random.default_rng(0).integers(0, 256, (70, 40, 52, 3), dtype=np.uint8)
    found = [Recognizer(header, model, batch_size=size).find_bouts(frames) for size in (64, 7, 1)]
    assert found[0].probs.shape == (70, len(header.labels))
    for other in found[1:]:
        assert other.probs == pytest.approx(found[0].probs, abs=1e-5)
        assert [(b.label, b.start_s, b.end_s) for b in other.bouts] == [
            (b.label, b.start_s, b.end_s) for b in found[0].bouts
        ]


def test_defaults_follow_the_length_of_clips(tiny: tuple[RecognitionHeader, RecognitionModel]) -> None:
    rules = default_settings(tiny[0])
    clip_s = tiny[0].preprocess.clip_length / (tiny[0].preprocess.sample_fps or 30)
    assert len(rules.thresholds) == len(tiny[0].labels)
    assert rules.longest_gap_s[0] < rules.shortest_s[0] < clip_s
