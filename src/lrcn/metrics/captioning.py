"""Caption metrics as the COCO evaluation defines them, without Java.

Every function takes captions that are tokenised already, one string an item with single spaces between the tokens
(`" ".join(lrcn.text.tokenise(caption))`), and equals pycocoevalcap 1.2 to 1e-9 for each item and the whole; lists
that do not match, and an item without a reference, are a `DataError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lrcn.errors import DataError, lookup
from lrcn.metrics.cider import CIDErScorer
from lrcn.metrics.meteor import meteor_scores, why_no_meteor
from lrcn.metrics.ngrams import MAX_ORDER, Floats, Integers, NgramCounts, NgramIndex, find, item_numbers, join


@dataclass(frozen=True)
class CaptionScore:
    """One metric over a set of captions."""

    corpus: float
    """The figure papers report, as a fraction (BLEU, ROUGE-L, METEOR: 0 to 1; CIDEr: 0 to 10)."""
    per_item: tuple[float, ...]
    """The metric of each candidate alone; BLEU's corpus value is not their mean."""


@dataclass(frozen=True)
class CaptionScores:
    """Several metrics over the same captions."""

    scores: Mapping[str, CaptionScore]
    """By name: `bleu_1` to `bleu_4`, `rouge_l`, `cider`, `cider_d`, `meteor`."""
    left_out: Mapping[str, str]
    """Metrics that were asked for and cannot run here, with the reason."""


def bleu(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, CaptionScore]:
    """Return BLEU-1 to BLEU-4 with the reference length closest to the candidate's, the shorter of two equally close.

    Source: Papineni et al. 2002; the smoothing constants 1e-9 and 1e-15 are pycocoevalcap's.
    """
    _check(candidates, references)
    own = [candidate.split() for candidate in candidates]
    others = [reference.split() for item in references for reference in item]
    item_of_other = item_numbers(references)
    index = NgramIndex(others)

    length = np.array([len(tokens) for tokens in own])
    other_length = np.array([len(tokens) for tokens in others])
    gap = np.abs(other_length - length[item_of_other])
    nearest = np.lexsort((other_length, gap, item_of_other))  # the best reference of each item comes first
    reference_length = other_length[nearest[np.searchsorted(item_of_other, np.arange(len(own)))]]

    matches, guesses = np.zeros((MAX_ORDER, len(own))), np.zeros((MAX_ORDER, len(own)))
    for order, (mine, theirs) in enumerate(zip(index.count(own), index.counts, strict=True)):
        keys, counts = _most_of_any_reference(theirs, item_of_other)
        place, there = find(join(mine.caption, mine.ngram), keys)
        clipped = np.minimum(mine.count[there], counts[place[there]])
        matches[order] = np.bincount(mine.caption[there], clipped, minlength=len(own))
        guesses[order] = np.maximum(0, length - order)
    per_item = _bleu(matches, guesses, length, reference_length)
    corpus = _bleu(matches.sum(1), guesses.sum(1), length.sum(), reference_length.sum())
    return {
        f"bleu_{order + 1}": CaptionScore(float(corpus[order]), tuple(per_item[order].tolist()))
        for order in range(MAX_ORDER)
    }


def _most_of_any_reference(counts: NgramCounts, item_of_caption: Integers) -> tuple[Integers, Integers]:
    """Return sorted keys (item, n-gram) and the highest count in any one reference of the item."""
    keys = join(item_of_caption[counts.caption], counts.ngram)
    order = np.argsort(keys, kind="stable")
    distinct, first = np.unique(keys[order], return_index=True)
    return distinct, np.maximum.reduceat(counts.count[order], first) if len(first) else first


def _bleu(matches: Floats, guesses: Floats, length: Floats, reference_length: Floats) -> Floats:
    """BLEU-1 to 4 along the first axis; the others are items, or none for a corpus."""
    small, tiny = 1e-9, 1e-15
    ratio = (length + tiny) / (reference_length + small)
    brevity = np.exp(np.minimum(0, 1 - 1 / ratio))
    orders = np.arange(1, MAX_ORDER + 1).reshape(-1, *[1] * (matches.ndim - 1))
    return np.cumprod((matches + tiny) / (guesses + small), axis=0) ** (1 / orders) * brevity


def rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, CaptionScore]:
    """Return ROUGE-L: F with beta 1.2 of the best precision and the best recall over an item's references.

    Source: Lin 2004; taking the two maxima from different references is pycocoevalcap's.
    """
    _check(candidates, references)
    beta_squared = 1.2**2
    items = []
    for candidate, item_references in zip(candidates, references, strict=True):
        tokens = candidate.split(" ")  # as the COCO tools do: an empty caption is one empty token
        others = [reference.split(" ") for reference in item_references]
        common = [_common_subsequence_length(tokens, other) for other in others]
        precision = max(common) / len(tokens)
        recall = max(length / len(other) for length, other in zip(common, others, strict=True))
        total = recall + beta_squared * precision
        items.append((1 + beta_squared) * precision * recall / total if precision and recall else 0.0)
    return {"rouge_l": CaptionScore(sum(items) / len(items), tuple(items))}


def _common_subsequence_length(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, one row of the usual table per step held as the bits of an integer.

    Source: Hyyrö 2004, Bit-parallel LCS-length computation revisited.
    """
    places: dict[str, int] = {}
    for place, token in enumerate(b):
        places[token] = places.get(token, 0) | 1 << place
    everywhere = (1 << len(b)) - 1
    row = everywhere
    for token in a:
        hit = row & places.get(token, 0)
        row = (row + hit | row - hit) & everywhere
    return len(b) - row.bit_count()


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, CaptionScore]:
    """Return CIDEr as first defined, without the words' stems; what papers print as CIDEr is `cider_d`.

    Source: Vedantam et al. 2015 (arXiv:1411.5726), sec. 4.
    """
    _check(candidates, references)
    return {"cider": _mean(CIDErScorer(references, robust=False).score(candidates))}


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, CaptionScore]:
    """Return CIDEr-D, which the COCO server and pycocoevalcap report under the name CIDEr.

    Source: Vedantam et al. 2015 (arXiv:1411.5726), sec. 6, with sigma 6.
    """
    _check(candidates, references)
    return {"cider_d": _mean(CIDErScorer(references).score(candidates))}


def meteor(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, CaptionScore]:
    """Return METEOR 1.5 from its own program, which pycocoevalcap brings and Java runs.

    Raises:
        MissingExtraError: If Java or pycocoevalcap is not there.
    """
    _check(candidates, references)
    corpus, items = meteor_scores(candidates, references)
    return {"meteor": CaptionScore(corpus, tuple(items))}


METRICS: dict[str, Callable[[Sequence[str], Sequence[Sequence[str]]], dict[str, CaptionScore]]] = {
    "bleu": bleu,
    "rouge_l": rouge_l,
    "cider": cider,
    "cider_d": cider_d,
    "meteor": meteor,
}
"""Every metric by the name `score_captions` takes; an evaluation computes and shows them all."""


def score_captions(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    metrics: Sequence[str] | None = None,
) -> CaptionScores:
    """Score tokenised captions on several metrics; METEOR is left out, with the reason, where it cannot run.

    Args:
        candidates: One tokenised caption for each item.
        references: The tokenised references of each item, one or more.
        metrics: Names from `METRICS`; None for all.

    Raises:
        DataError: If the two lists do not match or an item has no reference.
        UnknownNameError: If a metric is not known.
    """
    chosen = {name: lookup(METRICS, name, kind="caption metric") for name in metrics or METRICS}
    reason = why_no_meteor() if "meteor" in chosen else None
    scores: dict[str, CaptionScore] = {}
    for name, metric in chosen.items():
        if name != "meteor" or reason is None:
            scores |= metric(candidates, references)
    return CaptionScores(scores, {} if reason is None else {"meteor": reason})


def _mean(items: list[float]) -> CaptionScore:
    return CaptionScore(sum(items) / len(items), tuple(items))


def _check(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if len(candidates) != len(references):
        raise DataError(f"caption metrics: {len(candidates)} captions but references for {len(references)} items")
    if not candidates:
        raise DataError("caption metrics: no captions to score")
    for number, item in enumerate(references):
        if isinstance(item, str) or not item:
            raise DataError(f"caption metrics: item {number} needs a list of one reference or more, got {item!r}")
