"""Retrieval scores against sorting in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrcn.errors import DataError, ShapeError
from lrcn.metrics import retrieval
from lrcn.metrics.retrieval import RetrievalScore, normalise_over_images, score_retrieval


def by_sorting(scores: np.ndarray, image_of_caption: list[int]) -> tuple[list[int], list[int]]:
    """Ranks from sorted lists in which the right answers stand behind wrong ones with the same score."""
    num_images, num_captions = scores.shape
    caption_ranks = []
    for caption in range(num_captions):
        order = sorted(range(num_images), key=lambda i: (-scores[i, caption], i == image_of_caption[caption]))
        caption_ranks.append(order.index(image_of_caption[caption]) + 1)
    image_ranks = []
    for image in range(num_images):
        order = sorted(range(num_captions), key=lambda c: (-scores[image, c], image_of_caption[c] == image))
        image_ranks.append(min(order.index(c) for c in range(num_captions) if image_of_caption[c] == image) + 1)
    return caption_ranks, image_ranks


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    num_images = draw(st.integers(1, 6))
    extra = draw(st.lists(st.integers(0, num_images - 1), max_size=8))
    image_of_caption = draw(st.permutations([*range(num_images), *extra]))
    shape = (num_images, len(image_of_caption))
    values = st.lists(st.integers(-3, 3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    return np.array(draw(values), dtype=float).reshape(shape), image_of_caption


@settings(deadline=None)
@given(problems(), st.integers(1, 20))
def test_ranks_equal_those_from_sorting_in_any_chunks(problem: tuple[np.ndarray, list[int]], cells: int) -> None:
    scores, image_of_caption = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "CELLS_AT_ONCE", cells)
        found = score_retrieval(scores, image_of_caption)
    caption_ranks, image_ranks = by_sorting(scores, image_of_caption)
    assert found.caption_to_image.ranks.tolist() == caption_ranks
    assert found.image_to_caption.ranks.tolist() == image_ranks


def test_a_model_that_cannot_tell_gets_the_last_rank() -> None:
    found = score_retrieval(np.zeros((4, 8)), [0, 0, 1, 1, 2, 2, 3, 3])
    assert found.caption_to_image.ranks.tolist() == [4] * 8
    assert found.image_to_caption.ranks.tolist() == [7] * 4


def test_scores_that_are_no_numbers_count_against_the_model() -> None:
    scores = np.array([[np.nan, 1.0], [0.0, np.nan]])
    found = score_retrieval(scores, [0, 1])
    assert found.caption_to_image.ranks.tolist() == [2, 2]
    assert found.image_to_caption.ranks.tolist() == [2, 2]


def test_summary_of_known_ranks() -> None:
    score = RetrievalScore(np.array([1, 1, 4, 6, 11, 30]))
    assert score.to_dict() == {
        "recall_at_1": 2 / 6,
        "recall_at_5": 3 / 6,
        "recall_at_10": 4 / 6,
        "median_rank": 5.0,
        "num_queries": 6,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalising_makes_every_caption_equally_likely_on_average(dtype: type) -> None:
    log_probs = (np.random.default_rng(0).normal(size=(7, 5)) * 40 - 900).astype(dtype)
    found = normalise_over_images(log_probs)
    assert found.dtype == dtype
    expected = log_probs - (np.logaddexp.reduce(log_probs.astype(float), axis=0) - np.log(7))
    np.testing.assert_allclose(found, expected, atol=1e-9 if dtype is np.float64 else 1e-3)
    np.testing.assert_allclose(np.exp(found.astype(float)).mean(axis=0), 1, rtol=1e-3)


def test_normalising_leaves_the_order_of_images_and_undoes_popular_captions() -> None:
    generator = np.random.default_rng(1)
    log_probs = generator.normal(size=(30, 30)) + 2 * np.eye(30)
    popular = log_probs + generator.normal(size=30) * 20
    plain, normalised = score_retrieval(popular, range(30)), score_retrieval(normalise_over_images(popular), range(30))
    assert normalised.caption_to_image.ranks.tolist() == plain.caption_to_image.ranks.tolist()
    assert normalised.image_to_caption.median_rank < plain.image_to_caption.median_rank


def test_a_caption_impossible_everywhere_stays_impossible() -> None:
    found = normalise_over_images(np.array([[-np.inf, -1.0], [-np.inf, -2.0]]))
    assert np.isneginf(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()


@pytest.mark.parametrize(
    ("image_of_caption", "error", "message"),
    [
        ([0, 1], ShapeError, r"scores of shape \(2, 3\) need \(images, 2 captions\)"),
        ([0, 1, 2], DataError, "captions must belong to images 0 to 1"),
        ([0, -1, 1], DataError, "captions must belong to images 0 to 1"),
        ([1, 1, 1], DataError, "image 0 has no caption"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(image_of_caption: list[int], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        score_retrieval(np.zeros((2, 3)), image_of_caption)
