"""Image-sentence retrieval in both directions, from a matrix of scores.

A rank is one more than the number of wrong answers that score at least as high as the right one: a model that gives
everything the same score ranks last, not first, and so does a score that is no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrcn.errors import DataError, ShapeError

Scores = npt.NDArray[np.floating]
Ranks = npt.NDArray[np.int64]

CELLS_AT_ONCE = 4_000_000
"""Cells of the matrix compared at once, which bounds the memory beyond the matrix itself to some tens of megabytes."""


@dataclass(frozen=True)
class RetrievalScore:
    """How well the right answers rank in one direction."""

    ranks: Ranks
    """Rank of the right answer to each query, 1 the best."""

    def recall_at(self, k: int) -> float:
        """Return the fraction of queries with the right answer among the first `k`."""
        return float(np.mean(self.ranks <= k))

    @property
    def median_rank(self) -> float:
        """Return the median of the ranks; halves where two ranks stand in the middle."""
        return float(np.median(self.ranks))

    def to_dict(self) -> dict[str, float]:
        """Return R@1, R@5, R@10 (fractions), the median rank and the number of queries."""
        recalls = {f"recall_at_{k}": self.recall_at(k) for k in (1, 5, 10)}
        return {**recalls, "median_rank": self.median_rank, "num_queries": len(self.ranks)}


@dataclass(frozen=True)
class RetrievalScores:
    """Both directions of one score matrix."""

    caption_to_image: RetrievalScore
    """Queries are captions, answers are images."""
    image_to_caption: RetrievalScore
    """Queries are images; the best-ranked caption of the image counts."""


def score_retrieval(scores: Scores, image_of_caption: Sequence[int]) -> RetrievalScores:
    """Rank images for each caption and captions for each image.

    Args:
        scores: How well each image and caption fit, higher is better, `(images, captions)`; the released LRCN takes
            the sum of log probabilities of the caption's words without the end, for the direction from images to
            captions after `normalise_over_images`.
        image_of_caption: Index of the image each caption belongs to, `(captions,)`; every image has one caption or
            more.

    Raises:
        ShapeError: If the matrix and the list do not match.
        DataError: If an image has no caption or an index is outside the matrix.
    """
    image = np.asarray(image_of_caption, dtype=np.int64)
    if scores.ndim != 2 or image.shape != scores.shape[1:]:
        raise ShapeError(f"retrieval: scores of shape {scores.shape} need (images, {image.size} captions)")
    num_images, num_captions = scores.shape
    if not num_captions or image.min() < 0 or image.max() >= num_images:
        raise DataError(f"retrieval: captions must belong to images 0 to {num_images - 1}")
    captions_of_image = np.bincount(image, minlength=num_images)
    if not captions_of_image.all():
        raise DataError(f"retrieval: image {int(captions_of_image.argmin())} has no caption")

    own = scores[image, np.arange(num_captions)]
    caption_ranks = np.zeros(num_captions, dtype=np.int64)
    best = np.full(num_images, -np.inf, dtype=scores.dtype)
    np.fmax.at(best, image, own)
    image_ranks = np.zeros(num_images, dtype=np.int64)
    for rows in _chunks(num_images, num_captions):
        block = scores[rows]
        caption_ranks += _not_below(block, own).sum(axis=0)  # the right image is among them
        image_ranks[rows] = _not_below(block, best[rows, None]).sum(axis=1)
    own_not_below = _not_below(own, best[image])
    image_ranks += 1 - np.bincount(image, own_not_below, minlength=num_images).astype(np.int64)
    return RetrievalScores(RetrievalScore(caption_ranks), RetrievalScore(image_ranks))


def normalise_over_images(log_probs: Scores) -> Scores:
    """Subtract from each caption's log probabilities the log of their mean probability over all images.

    A caption that is likely under any image then no longer outranks one that fits its image; the order of images for
    a caption stays as it is. Source: released LRCN code, retrieval_experiment.py.

    Args:
        log_probs: Log probability of each caption given each image, `(images, captions)`.

    Returns:
        An array of the same shape and type. A caption impossible under every image stays at minus infinity.
    """
    highest = log_probs.max(axis=0)
    shift = np.where(np.isfinite(highest), highest, 0)
    total = np.zeros(log_probs.shape[1])
    for rows in _chunks(*log_probs.shape):
        total += np.exp(log_probs[rows] - shift).sum(axis=0)
    log_mean = np.log(np.where(total > 0, total, 1)) - np.log(len(log_probs)) + shift
    normalised: Scores = log_probs - log_mean.astype(log_probs.dtype)
    return normalised


def _not_below(scores: Scores, right: Scores) -> npt.NDArray[np.bool_]:
    return ~(scores < right)  # true for ties, and where either is not a number


def _chunks(num_rows: int, num_columns: int) -> Iterator[slice]:
    step = max(1, CELLS_AT_ONCE // max(1, num_columns))
    for start in range(0, num_rows, step):
        yield slice(start, start + step)
