"""Count the n-grams of many captions at once, as sorted integer arrays, for BLEU and CIDEr.

An n-gram is numbered by the number of its first n - 1 tokens and of its last token, so that each order takes one sort
of integers instead of one tuple of strings for every place in every caption.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

MAX_ORDER: Final = 4
"""Longest n-gram of BLEU and CIDEr, in tokens."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_SHIFT: Final = 31  # two numbers below 2**31 make one key


@dataclass(frozen=True)
class NgramCounts:
    """Occurrences of each n-gram of one order in each caption: three arrays, sorted by the first two."""

    caption: Integers
    """Number of the caption."""
    ngram: Integers
    """Number of the n-gram in the index; numbers past `NgramIndex.sizes` are n-grams the index does not know."""
    count: Integers
    """Occurrences, 1 or more."""


class NgramIndex:
    """Numbers for all n-grams of 1 to `MAX_ORDER` tokens of some captions.

    Args:
        captions: Tokens of each caption.
    """

    def __init__(self, captions: Sequence[list[str]]):
        self._words: dict[str, int] = {}
        for tokens in captions:
            for token in tokens:
                self._words.setdefault(token, len(self._words))
        self._keys: list[Integers] = []
        self.counts: Final = self._count(captions, learn=True)
        """Counts of the captions themselves, one entry an order."""
        self.sizes: Final = [len(keys) for keys in self._keys]
        """Number of distinct n-grams, one entry an order."""

    def count(self, captions: Sequence[list[str]]) -> list[NgramCounts]:
        """Count the n-grams of other captions; those the index does not know get numbers of their own."""
        return self._count(captions, learn=False)

    def _count(self, captions: Sequence[list[str]], *, learn: bool) -> list[NgramCounts]:
        words = self._words
        strange: dict[str, int] = {}
        tokens = np.array(
            [
                words[token] if token in words else len(words) + strange.setdefault(token, len(strange))
                for caption in captions
                for token in caption
            ],
            dtype=np.int64,
        )
        lengths = np.array([len(caption) for caption in captions], dtype=np.int64)
        caption = np.repeat(np.arange(len(captions)), lengths)
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(tokens))  # tokens from here to the caption's end
        numbers = np.zeros(len(tokens), dtype=np.int64)
        counts = []
        for order in range(1, MAX_ORDER + 1):
            places = np.flatnonzero(left >= order)
            keys = join(numbers[places], tokens[places + order - 1])
            if learn:
                distinct, found = np.unique(keys, return_inverse=True)
                self._keys.append(distinct)
            else:
                found = _number(keys, self._keys[order - 1])
            numbers[places] = found
            pairs, occurrences = np.unique(join(caption[places], found), return_counts=True)
            counts.append(NgramCounts(*split(pairs), occurrences))
        return counts


def _number(keys: Integers, known: Integers) -> Integers:
    """Number `keys` by their places in the sorted array `known`; others count on from its length."""
    place, there = find(keys, known)
    _, others = np.unique(keys[~there], return_inverse=True)
    place[~there] = len(known) + others
    return place


def join(first: Integers, second: Integers) -> Integers:
    """Make one sortable key of two numbers below 2**31."""
    return first << _SHIFT | second


def split(keys: Integers) -> tuple[Integers, Integers]:
    """Return the two numbers of each key that `join` made."""
    return keys >> _SHIFT, keys & (1 << _SHIFT) - 1


def find(wanted: Integers, table: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Return where each number stands in a sorted table of distinct numbers, and whether it does."""
    if not len(table):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    place = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    return place, table[place] == wanted


def item_numbers(references: Sequence[Sequence[str]]) -> Integers:
    """Number of the item of each reference, all references one after the other."""
    return np.repeat(np.arange(len(references)), [len(item) for item in references])
