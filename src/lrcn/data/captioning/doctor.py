"""Check a caption data set before hours go into training on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lrcn.data.captioning.examples import CaptionData
from lrcn.data.file_checks import CheckedFile, Finding, look_at_files, outside, same_content, unreadable
from lrcn.data.splits import SPLITS
from lrcn.text import tokenise

LONG = 19
"""Words that a caption may have to fit the released nets, whose 20 steps hold the end, too."""

MIN_COUNT = 5
"""Occurrences from which a word is in the released nets' vocabulary."""

MANY_UNKNOWN = 0.05
"""Share of words outside the vocabulary from which scores suffer notably."""


@dataclass(frozen=True)
class SplitCounts:
    """What one split holds."""

    files: int
    captions: int
    words: int
    """Tokens of all captions."""
    unknown_share: float
    """Share of these tokens that occurs fewer than `MIN_COUNT` times in the training captions."""


@dataclass(frozen=True)
class CaptionDoctorReport:
    """What `check_caption_data` found."""

    name: str
    num_files: int
    counts: dict[str, SplitCounts]
    """By split."""
    vocabulary_size: int
    """Words that occur at least `MIN_COUNT` times in the training captions."""
    problems: tuple[Finding, ...]
    """Errors first."""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.severity == "error" for finding in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types: the fields, and `ok`."""
        return {**asdict(self), "ok": self.ok}


def check_caption_data(
    data: CaptionData, *, decode: bool = True, on_progress: Callable[[int, int], None] | None = None
) -> CaptionDoctorReport:
    """Look at every file of a data set and at its captions.

    Names files that cannot be decoded or are cut short, the same content twice (in two splits: an error), parts that
    lie outside their video, captions too long for the released nets, and words that training hardly ever sees.

    Args:
        data: What `read_caption_data` returned.
        decode: Decode every file to its end; without it, only contents are compared.
        on_progress: Called with the number of files done and of all files.
    """
    files = look_at_files([example.path for example in data.examples], decode=decode, on_progress=on_progress)
    tokens: dict[str, list[list[str]]] = defaultdict(list)
    for example in data.examples:
        tokens[example.split] += map(tokenise, example.captions)
    trained = Counter(word for caption in tokens["train"] for word in caption)
    known = {word for word, count in trained.items() if count >= MIN_COUNT}
    counts = {
        split: SplitCounts(
            files=len({example.path for example in data.examples if example.split == split}),
            captions=len(tokens[split]),
            words=sum(map(len, tokens[split])),
            unknown_share=_share_outside(known, tokens[split]),
        )
        for split in SPLITS
        if tokens[split]
    }
    findings = [
        *(Finding("warning", text) for text in data.warnings),
        *unreadable(files),
        *outside(((example, f"({example.key})") for example in data.examples), files),
        *_copies(data, files),
        *_splits_and_words(counts, tokens),
    ]
    report = tuple(sorted(findings, key=lambda finding: finding.severity))
    return CaptionDoctorReport(data.name, len(files), counts, len(known), report)


def _share_outside(known: set[str], captions: list[list[str]]) -> float:
    num_words = sum(map(len, captions))
    return sum(word not in known for caption in captions for word in caption) / num_words if num_words else 0.0


def _copies(data: CaptionData, files: Mapping[Path, CheckedFile]) -> Iterator[Finding]:
    splits: dict[Path, set[str]] = defaultdict(set)
    for example in data.examples:
        splits[example.path].add(example.split)
    for path, own in splits.items():
        if len(own) > 1:
            yield Finding("error", f"{path}: parts of it in {' and '.join(sorted(own))}: scores will be too good")
    for paths, text in same_content(files):
        if len(own := {split for path in paths for split in splits[path]}) > 1:
            yield Finding("error", f"{text}, in {' and '.join(sorted(own))}: scores will be too good; keep one")
        else:
            yield Finding("warning", f"{text}: keep one, with the captions of all")


def _splits_and_words(counts: dict[str, SplitCounts], tokens: dict[str, list[list[str]]]) -> Iterator[Finding]:
    for split in SPLITS:
        if split not in counts:
            yield Finding("error" if split == "train" else "warning", f"no {split} split")
        elif "train" in counts and counts[split].unknown_share > MANY_UNKNOWN:
            share = counts[split].unknown_share
            yield Finding(
                "warning", f"{split}: {share:.0%} of the words occur fewer than {MIN_COUNT} times in training captions"
            )
    lengths = [len(caption) for captions in tokens.values() for caption in captions]
    if num_long := sum(length > LONG for length in lengths):
        yield Finding(
            "warning",
            f"{num_long} of {len(lengths)} captions have more than {LONG} words (most: {max(lengths)}); "
            "the default length of training cuts them off",
        )
