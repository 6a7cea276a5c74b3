"""CIDEr and CIDEr-D against references that are counted once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lrcn.metrics.ngrams import MAX_ORDER, Floats, Integers, NgramCounts, NgramIndex, find, item_numbers, join, split


class CIDErScorer:
    """CIDEr-D against fixed references, which are counted once; for scoring again and again during training.

    Args:
        references: Tokenised references of each item; the weight of an n-gram comes from how many items have it.
        robust: Clip counts and punish a difference in length (CIDEr-D); without it, CIDEr as first defined.
    """

    def __init__(self, references: Sequence[Sequence[str]], *, robust: bool = True):
        self._robust = robust
        captions = [reference.split() for item in references for reference in item]
        item_of_caption = item_numbers(references)
        self._index = NgramIndex(captions)
        self._log_items = math.log(len(references))
        self._weights = []
        for counts, size in zip(self._index.counts, self._index.sizes, strict=True):
            pairs = np.unique(join(counts.ngram, item_of_caption[counts.caption]))
            items_with = np.bincount(split(pairs)[0], minlength=size)
            self._weights.append(np.append(self._log_items - np.log(items_with), self._log_items))
        self._norms = [self._norm(counts, n, len(captions)) for n, counts in enumerate(self._index.counts)]
        self._lengths = _bigrams(captions)
        self._first = np.searchsorted(item_of_caption, np.arange(len(references) + 1))

    def score(self, candidates: Sequence[str], items: Sequence[int] | None = None) -> list[float]:
        """Return the score of each candidate, 0 to 10.

        Args:
            candidates: Tokenised captions.
            items: Which item each candidate describes; by default the first candidate describes item 0, and so on.
        """
        captions = [candidate.split() for candidate in candidates]
        item = np.arange(len(captions)) if items is None else np.array(items, dtype=np.int64)
        num_references = self._first[item + 1] - self._first[item]
        # One row for each candidate beside each reference of its item.
        candidate, reference = _expand(np.arange(len(captions)), self._first[item], num_references)
        similarity = np.zeros(len(candidate))
        first_row = np.cumsum(num_references) - num_references
        for n, own in enumerate(self._index.count(captions)):
            theirs, weights = self._index.counts[n], self._weights[n]
            known = own.ngram < self._index.sizes[n]
            caption, ngram, count = own.caption[known], own.ngram[known], own.count[known]
            place, row = _expand(np.arange(len(caption)), first_row[caption], num_references[caption])
            found, there = find(join(reference[row], ngram[place]), join(theirs.caption, theirs.ngram))
            place, row, their_count = place[there], row[there], theirs.count[found[there]]
            own_count = np.minimum(count[place], their_count) if self._robust else count[place]
            product = np.bincount(row, own_count * their_count * weights[ngram[place]] ** 2, minlength=len(candidate))
            norm = self._norm(own, n, len(captions))[candidate] * self._norms[n][reference]
            similarity += np.divide(product, norm, out=np.zeros(len(candidate)), where=norm > 0)
        if self._robust:
            gap = _bigrams(captions)[candidate] - self._lengths[reference]
            similarity *= np.exp(-(gap**2) / (2 * 6.0**2))
        total = np.bincount(candidate, similarity, minlength=len(captions))
        return list((10 * total / MAX_ORDER / num_references).tolist())

    def _norm(self, counts: NgramCounts, n: int, num_captions: int) -> Floats:
        weights = self._weights[n][
            np.minimum(counts.ngram, self._index.sizes[n])
        ]  # the last one is for unknown n-grams
        return np.sqrt(np.bincount(counts.caption, (counts.count * weights) ** 2, minlength=num_captions))


def _expand(values: Integers, starts: Integers, lengths: Integers) -> tuple[Integers, Integers]:
    """Repeat each value `lengths` times, beside the numbers from its start on."""
    ends = np.cumsum(lengths)
    steps = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)
    return np.repeat(values, lengths), np.repeat(starts, lengths) + steps


def _bigrams(captions: Sequence[list[str]]) -> Integers:
    """Length of each caption as pycocoevalcap's CIDEr-D compares it: its number of bigrams."""
    return np.array([max(0, len(tokens) - 1) for tokens in captions], dtype=np.int64)
