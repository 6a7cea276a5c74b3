"""Check a data set before hours go into training on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lrcn.data.file_checks import CheckedFile, Finding, look_at_files, outside, same_content, same_pictures, unreadable
from lrcn.data.problems import first_of
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.data.splits import SPLITS

SHORT_S = 16 / 30
"""Parts below this are called short: they hold less than one clip of the released nets (16 frames at 30 per second)."""

IMBALANCE = 10
"""Ratio between the classes with most and fewest training clips from which the data set is called unbalanced."""


@dataclass(frozen=True)
class DoctorReport:
    """What `check_recognition_data` found."""

    name: str
    num_files: int
    counts: dict[str, dict[str, int]]
    """Split -> class -> number of clips, with zeros."""
    problems: tuple[Finding, ...]
    """Errors first."""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.severity == "error" for finding in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types: the fields, and `ok`."""
        return {**asdict(self), "problems": [asdict(finding) for finding in self.problems], "ok": self.ok}


def check_recognition_data(
    data: RecognitionData, *, decode: bool = True, on_progress: Callable[[int, int], None] | None = None
) -> DoctorReport:
    """Look at every file of a data set and at how its classes and splits are filled.

    Names files that cannot be decoded or are cut short, the same content or the same pictures twice (in two splits,
    with two labels), annotated parts that lie outside their video, classes missing in a split, few or very short clips.

    Args:
        data: What `read_recognition_data` returned.
        decode: Decode every video to its end; without it, only contents are compared.
        on_progress: Called with the number of files done and of all files.
    """
    files = look_at_files([example.path for example in data.examples], decode=decode, on_progress=on_progress)
    counts = {split: dict.fromkeys(data.labels, 0) for split in SPLITS if _has_split(data.examples, split)}
    for example in data.examples:
        for label in data.shown(example):
            counts[example.split][label] += 1
    findings = [
        *(Finding("warning", text) for text in data.warnings),
        *_too_few_classes(data),
        *unreadable(files),
        *outside(((example, f"of class {example.label!r}") for example in data.examples), files),
        *_copies(data.examples, files),
        *_unevenly_filled(counts),
        *_short(data.examples, files),
    ]
    return DoctorReport(data.name, len(files), counts, tuple(sorted(findings, key=lambda finding: finding.severity)))


def _too_few_classes(data: RecognitionData) -> Iterator[Finding]:
    if len(data.labels) == 1:
        yield Finding("error", f"one class only, {data.labels[0]!r}; a model needs at least two to tell apart")


def _has_split(examples: Sequence[RecognitionExample], split: str) -> bool:
    return any(example.split == split for example in examples)


def _copies(examples: Sequence[RecognitionExample], files: Mapping[Path, CheckedFile]) -> Iterator[Finding]:
    of: dict[Path, list[RecognitionExample]] = defaultdict(list)
    for example in examples:
        of[example.path].append(example)
    for paths, text in (*same_content(files), *same_pictures(files)):
        copies = [example for path in paths for example in of[path]]
        splits, labels = ({getattr(example, name) for example in copies} for name in ("split", "label"))
        if len(labels) > 1:
            yield Finding("error", f"{text}, labelled {' and '.join(sorted(labels))}: keep one")
        elif len(splits) > 1:
            yield Finding("error", f"{text}, in {' and '.join(sorted(splits))}: scores will be too good; keep one")
        else:
            yield Finding("warning", f"{text}: keep one")


def _unevenly_filled(counts: dict[str, dict[str, int]]) -> Iterator[Finding]:
    for split in SPLITS:
        if split not in counts:
            yield Finding("warning", f"no {split} split")
            continue
        missing = [label for label, count in counts[split].items() if count == 0]
        if missing:
            severity: Literal["error", "warning"] = "error" if split == "train" else "warning"
            yield Finding(severity, f"{split}: no clip of class {first_of(missing)}")
    filled = {label: count for label, count in counts.get("train", {}).items() if count}
    if filled:
        most, fewest = max(filled, key=filled.__getitem__), min(filled, key=filled.__getitem__)
        if filled[most] >= IMBALANCE * filled[fewest]:
            yield Finding(
                "warning", f"train: {filled[most]} clips of class {most}, but {filled[fewest]} of class {fewest}"
            )


def _short(examples: Sequence[RecognitionExample], files: Mapping[Path, CheckedFile]) -> Iterator[Finding]:
    short = []
    for example in examples:
        duration_s = files[example.path].duration_s
        if duration_s is None or example.start_s >= duration_s or example.within is not None:
            continue
        length_s = min(example.end_s or duration_s, duration_s) - example.start_s
        if length_s < SHORT_S - 1e-3:
            short.append(f"{example.path}: only {length_s:.2f} s long")
    if short:
        yield Finding("warning", first_of(short))
