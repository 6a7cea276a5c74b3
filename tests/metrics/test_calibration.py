from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from lrcn.config import Calibration
from lrcn.errors import ConfigError, ShapeError
from lrcn.metrics.calibration import (
    calibrated,
    calibration_error,
    fit_calibration,
    fit_class_calibration,
    reliability,
    reliability_of,
    tempered,
)
from lrcn.results import UNKNOWN

LABELS = ("bend", "jump", "run", "walk", "wave")


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.tensor(logits).softmax(-1).numpy()


def answered(number: int, seed: int, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, to the power of `sharpness`, and labels drawn from what they were before."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.normal(size=(number, len(LABELS)))
    labels = np.array([rng.choice(len(LABELS), p=row) for row in softmax(logits)])
    return softmax(sharpness * logits), labels


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_error_is_that_of_torchmetrics_and_the_bins_add_up(sharpness: float) -> None:
    probs, labels = answered(400, 1, sharpness)
    bins = reliability(probs, labels)
    expected = multiclass_calibration_error(torch.tensor(probs), torch.tensor(labels), len(LABELS), n_bins=15)
    assert calibration_error(bins) == pytest.approx(float(expected), abs=1e-6)
    assert sum(one.count for one in bins) == 400
    assert sum(one.count * one.accuracy for one in bins) == pytest.approx((probs.argmax(1) == labels).sum())
    assert all(one.low < one.prob <= one.high for one in bins if one.count)


def test_an_answer_on_the_border_of_two_bins_is_in_one() -> None:
    bins = reliability(np.array([[1.0, 0.0], [0.6, 0.4], [0.5, 0.5]]), np.array([0, 1, 0]))
    assert [(round(one.high, 3), one.count, one.accuracy) for one in bins if one.count] == [
        (0.533, 1, 1.0),
        (0.6, 1, 0.0),
        (1.0, 1, 1.0),
    ]
    assert calibration_error(reliability(np.empty((0, 2)), np.empty(0, int))) == 0.0


@given(st.floats(0.2, 6.0), st.integers(0, 99))
def test_tempering_divides_the_logits(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(7, 4)) * 5
    found = tempered(softmax(logits), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-12)


def test_what_is_ruled_out_stays_so_and_nothing_is_lost_to_rounding() -> None:
    probs = np.array([[1.0, 0.0, 0.0], [1e-300, 0.0, 2e-300]])
    found = tempered(probs, 0.5)
    np.testing.assert_allclose(found, [[1, 0, 0], [0.2, 0, 0.8]])
    assert calibrated(probs, None) is probs
    assert calibrated(probs, Calibration()) is probs


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_was_done_to_the_probabilities(sharpness: float) -> None:
    probs, labels = answered(3000, 2, sharpness)
    found = fit_calibration(probs, np.arange(len(probs)), labels, LABELS)
    assert found.temperature == pytest.approx(sharpness, rel=0.08)
    assert calibration_error(reliability(tempered(probs, found.temperature), labels)) < 0.03
    # torch's own search for the least cross-entropy
    logits = torch.tensor(probs).log()
    inverse = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([inverse], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits * inverse, torch.tensor(labels))
        value.backward()
        return value

    optimizer.step(loss)
    assert found.temperature == pytest.approx(1 / inverse.item(), rel=0.01)


def test_a_video_is_the_mean_of_its_windows_after_tempering_not_before() -> None:
    probs, _ = answered(900, 3, 3.0)
    rng = np.random.default_rng(4)
    videos = np.sort(np.concatenate([np.arange(300), rng.integers(0, 300, 600)]))
    labels = np.array([probs[videos == video].mean(0).argmax() for video in range(300)])
    wrong = rng.random(300) < 0.3
    labels[wrong] = rng.integers(0, len(LABELS), wrong.sum())

    def loss(temperature: float) -> float:
        of_windows = tempered(probs, temperature)
        own = [of_windows[videos == video].mean(0)[label] for video, label in enumerate(labels)]
        return float(-np.log(own).sum() + np.log(temperature) ** 2 / (2 * 0.5**2))

    candidates = np.exp(np.linspace(np.log(1 / 8), np.log(8), 400))
    best = candidates[np.argmin([loss(candidate) for candidate in candidates])]
    assert fit_calibration(probs, videos, labels, LABELS).temperature == pytest.approx(best, rel=0.02)


def test_a_few_right_answers_make_nothing_certain_and_none_of_them_unknown() -> None:
    probs = np.full((6, 5), 0.1)
    probs[np.arange(6), [0, 1, 2, 3, 4, 0]] = 0.6
    found = fit_calibration(probs, np.arange(6), np.array([0, 1, 2, 3, 4, 0]), LABELS)
    assert 0.3 < found.temperature < 1.0
    said = tempered(probs, found.temperature).max(axis=1)
    assert said.max() < 0.99
    assert said.min() >= found.unknown_below > 0.5


@given(st.integers(1, 300), st.integers(0, 50))
def test_at_most_a_twentieth_of_the_right_answers_is_below_the_level(number: int, seed: int) -> None:
    probs, labels = answered(number, seed, 2.0)
    found = fit_calibration(probs, np.arange(number), labels, LABELS)
    said = tempered(probs, found.temperature)
    right = said.max(1)[said.argmax(1) == labels]
    if len(right):
        assert (right < found.unknown_below).mean() <= 0.05 + 1e-9
        assert (right <= found.unknown_below).any()
        assert len(right) < 40 or (right < found.unknown_below).mean() > 0.02
    else:
        assert found.unknown_below == 0.0


def test_examples_of_no_class_set_no_level() -> None:
    labels = ("walk", UNKNOWN)
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55]])
    found = fit_calibration(probs, np.arange(3), np.array([0, 1, 1]), labels)
    assert found.unknown_below == pytest.approx(tempered(probs, found.temperature)[0].max())


def test_arrays_that_do_not_fit_and_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"probs \(N, 5\)"):
        fit_calibration(np.ones((3, 4)), np.arange(3), np.arange(3), LABELS)
    with pytest.raises(ShapeError, match="targets"):
        reliability(np.ones((3, 4)), np.arange(2))
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        Calibration(temperature=0.0)
    with pytest.raises(ConfigError, match="unknown_below"):
        Calibration(unknown_below=1.5)


def test_each_class_of_several_at_once_has_a_temperature_of_its_own() -> None:
    rng = np.random.default_rng(3)
    logits = 2.0 * rng.normal(size=(4000, 3))
    shown = rng.random((4000, 3)) < 1 / (1 + np.exp(-logits))
    sharpness = np.array([3.0, 0.5, 1.0])  # of what is said: too sure, too unsure, as it should be
    probs = 1 / (1 + np.exp(-sharpness * logits))
    found = fit_class_calibration(probs, np.arange(4000), shown)
    np.testing.assert_allclose(found.class_temperatures, sharpness, rtol=0.1)
    again = calibrated(probs, found)
    expected = 1 / (1 + np.exp(-sharpness * logits / np.array(found.class_temperatures)))
    np.testing.assert_allclose(again, expected, atol=1e-12)

    def error(probs: np.ndarray) -> float:
        return calibration_error(reliability_of(probs.ravel(), shown.ravel()))

    assert error(probs) > 0.05
    assert error(again) < 0.02
    assert (again.argsort(axis=0) == probs.argsort(axis=0)).all()  # which example shows a class most stays


def test_windows_of_an_example_are_averaged_before_they_are_compared() -> None:
    probs = np.array([[0.9, 0.5], [0.1, 0.5], [0.9, 0.5], [0.8, 0.5]])
    shown = np.array([[True, False], [False, False]])
    found = fit_class_calibration(probs, np.array([0, 0, 1, 1]), shown)
    # two windows that contradict each other say nothing, the other example is wrong; what is never shown stays
    assert found.class_temperatures[0] > 1
    assert found.class_temperatures[1] == 1.0
    sure = fit_class_calibration(probs, np.array([0, 1, 0, 1]), shown)
    assert sure.class_temperatures[0] < 1
    with pytest.raises(ShapeError, match="expected probs"):
        fit_class_calibration(probs, np.array([0, 1]), shown)
