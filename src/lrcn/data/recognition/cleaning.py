"""Annotations without what can be put right by rule: one spelling a label, bouts within their video, nothing twice."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lrcn.annotations.reading import in_order
from lrcn.bouts import Annotations, Bout, Recording, labels_of
from lrcn.data.file_checks import CheckedFile

_CLOCK_TOLERANCE_S = 1e-3


def label_key(label: str) -> str:
    """Return what labels share that differ in case, spaces, `_`, `-` or the spelling of accents alone."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", label)).strip().casefold()


def spellings(annotations: Annotations) -> list[dict[str, int]]:
    """Return the labels that are one label in several spellings, each with its number of bouts, the most used first."""
    counts = Counter(bout.label for recording in annotations.recordings for bout in recording.bouts)
    of_key: dict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys((*annotations.labels, *labels_of(annotations.recordings))):
        of_key[label_key(label)].append(label)
    return [
        {label: counts[label] for label in sorted(labels, key=lambda label: -counts[label])}
        for labels in of_key.values()
        if len(labels) > 1
    ]


def cleaned(annotations: Annotations, files: Mapping[Path, CheckedFile]) -> tuple[Annotations, list[str]]:
    """Return annotations that a training can take as they are, and a line for each change.

    Of several spellings of a label the most used is taken; bouts end with their video; of bouts, and of recordings with
    their bouts, that are there twice one is kept; what cannot be read, or has no video, is left out.

    Args:
        annotations: As they were read.
        files: Of all videos that are there, decoded or not.
    """
    changes = [f"left out: {skipped.place}: {skipped.reason}" for skipped in annotations.skipped]
    best: dict[str, str] = {}
    for counts in spellings(annotations):
        first, *others = counts
        best |= dict.fromkeys(others, first)
        changes += [f"{label!r} is now {first!r}: {counts[label]} bouts" for label in others]
    recordings: list[Recording] = []
    kept: dict[tuple[str, tuple[Bout, ...]], Recording] = {}
    for recording in annotations.recordings:
        file = files.get(recording.path) if recording.path is not None else None
        if file is None or file.error:
            why = "cannot be read" if file else "is not there"
            changes.append(f"left out: {recording.name} with {len(recording.bouts)} bouts: its video {why}")
            continue
        unified = (replace(bout, label=best.get(bout.label, bout.label)) for bout in recording.bouts)
        bouts = _once(recording.name, _within(recording.name, unified, file.duration_s, changes), changes)
        recording = replace(recording, bouts=bouts)
        first_such = kept.setdefault((file.digest or str(file.path) + recording.name, bouts), recording)
        if first_such is not recording:
            changes.append(f"left out: {recording.name}, a copy of {first_such.name} with the same bouts")
            continue
        recordings.append(recording)
    labels = tuple(dict.fromkeys(best.get(label, label) for label in annotations.labels))
    clean = Annotations(annotations.name, tuple(recordings), labels)
    return replace(clean, num_events=clean.num_bouts), changes


def _within(name: str, bouts: Iterable[Bout], duration_s: float | None, changes: list[str]) -> Sequence[Bout]:
    found = []
    for bout in bouts:
        if duration_s is None or bout.end_s <= duration_s + _CLOCK_TOLERANCE_S:
            found.append(bout)
        elif bout.start_s >= duration_s:
            changes.append(f"left out: {said(name, bout)}, past the end of the video at {duration_s:.2f} s")
        else:
            found.append(replace(bout, end_s=duration_s))
            changes.append(f"{said(name, bout)} ends with the video now, at {duration_s:.2f} s")
    return found


def _once(name: str, bouts: Iterable[Bout], changes: list[str]) -> tuple[Bout, ...]:
    counts = Counter(bouts)
    changes += [
        f"{said(name, bout)} is there {count} times: one is kept" for bout, count in counts.items() if count > 1
    ]
    return in_order(counts)


def said(name: str, bout: Bout) -> str:
    """Return how messages name a bout of a recording."""
    return f"{name}: {bout.label!r} from {bout.start_s:g} to {bout.end_s:g} s"
