from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from lrcn.errors import ShapeError
from lrcn.metrics.classification import (
    class_scores,
    confusion_matrix,
    mean_class_accuracy,
    target_ranks,
    wilson_interval,
)

NUM_CLASSES = 7


@pytest.fixture
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, NUM_CLASSES - 1, 200)  # the last class has no example
    logits = rng.normal(size=(200, NUM_CLASSES)) + 2.0 * np.eye(NUM_CLASSES)[targets]
    logits[:, 0] -= 50  # the first class is never predicted
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), targets


@pytest.mark.parametrize("k", [1, 2, 5])
def test_ranks_count_the_right_answers_that_torchmetrics_counts(scored: tuple[np.ndarray, np.ndarray], k: int) -> None:
    probs, targets = scored
    theirs = multiclass_accuracy(torch.tensor(probs), torch.tensor(targets), NUM_CLASSES, average="micro", top_k=k)
    assert (target_ranks(probs, targets) < k).mean() == pytest.approx(float(theirs))


def test_confusion_and_class_scores_match_torchmetrics(scored: tuple[np.ndarray, np.ndarray]) -> None:
    probs, targets = scored
    predicted, truth = torch.tensor(probs.argmax(1)), torch.tensor(targets)
    confusion = confusion_matrix(targets, probs.argmax(1), NUM_CLASSES)
    ours = class_scores(confusion)

    np.testing.assert_array_equal(confusion, multiclass_confusion_matrix(predicted, truth, NUM_CLASSES))
    for name, theirs in (
        ("precision", multiclass_precision),
        ("recall", multiclass_recall),
        ("f1", multiclass_f1_score),
    ):
        expected = theirs(predicted, truth, NUM_CLASSES, average="none")
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-6, err_msg=name)


def test_mean_class_accuracy_leaves_out_classes_without_examples(scored: tuple[np.ndarray, np.ndarray]) -> None:
    probs, targets = scored
    predictions = probs.argmax(1)
    by_hand = np.mean([(predictions[targets == c] == c).mean() for c in range(NUM_CLASSES - 1)])
    assert mean_class_accuracy(confusion_matrix(targets, predictions, NUM_CLASSES)) == pytest.approx(by_hand)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=4, max_size=4), min_size=1, max_size=8), st.data())
def test_rank_counts_ties_as_a_stable_sort_does(rows: list[list[float]], data: st.DataObject) -> None:
    probs = np.array(rows)
    targets = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows))))
    order = np.argsort(-probs, axis=1, kind="stable")
    expected = [list(row).index(target) for row, target in zip(order, targets, strict=True)]
    assert target_ranks(probs, targets).tolist() == expected


@pytest.mark.parametrize(("successes", "total"), [(0, 5), (5, 5), (3, 10), (81, 263), (1, 1)])
def test_wilson_bounds_solve_the_score_equation(successes: int, total: int) -> None:
    # the bounds are the shares p at which |observed - p| is exactly z standard errors of p
    z, share = 1.959963984540054, successes / total
    for bound in wilson_interval(successes, total):
        assert (share - bound) ** 2 == pytest.approx(z * z * bound * (1 - bound) / total, abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_wilson_interval_holds_the_share_and_stays_in_range(total: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, total))
    low, high = wilson_interval(successes, total)
    assert 0.0 <= low <= successes / total <= high <= 1.0


def test_no_examples_give_figures_and_not_an_error() -> None:
    none = np.empty(0, dtype=np.int64)
    assert target_ranks(np.empty((0, 3)), none).shape == (0,)
    assert mean_class_accuracy(confusion_matrix(none, none, 3)) == 0.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"label ids must be in 0\.\.2, got 0\.\.3"):
        confusion_matrix(np.array([0, 3]), np.array([0, 1]), 3)
    with pytest.raises(ShapeError, match="expected probs"):
        target_ranks(np.zeros((2, 3)), np.zeros(3, dtype=np.int64))
