"""Check annotated recordings before hours go into training on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lrcn.annotations.media import NOT_THERE
from lrcn.bouts import Annotations, Bout, Recording, overlap_each_other, overlap_s
from lrcn.data.file_checks import CheckedFile, Finding, look_at_files, same_content, same_pictures, unreadable
from lrcn.data.named_files import exists
from lrcn.data.problems import first_of
from lrcn.data.recognition.cleaning import cleaned, said, spellings
from lrcn.data.recognition.cutting import TICK_S
from lrcn.data.recognition.examples import ReadOptions, RecognitionData
from lrcn.data.recognition.recordings import data_of, read_source
from lrcn.data.splits import SPLITS
from lrcn.errors import DataError, MediaError
from lrcn.video.read import probe
from lrcn.video.sources import VIDEO_SUFFIXES, is_clutter

SHORTEST_S = 2 * TICK_S
"""Bouts below this are shorter than two of the frames that are sampled."""

FAR_PAST_S = 1.0
"""Where a bout goes on for longer than this after its video, it is the wrong video, or the wrong rate."""

FEW = 0.2
"""Share of bouts up to which overlaps are mistakes: above it, behaviours are shown together."""


@dataclass(frozen=True)
class Amount:
    """How much of a behaviour there is."""

    bouts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class RecordingDoctorReport:
    """What `check_recordings` found."""

    name: str
    num_files: int
    counts: dict[str, dict[str, Amount]]
    """Split -> behaviour -> how much of it there is once what can be is put right, with zeros."""
    problems: tuple[Finding, ...]
    """Errors first."""
    clean: Annotations
    """What `lrcn data check --fix` writes."""
    changes: tuple[str, ...]
    """How that differs from what was read, a line each."""

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.severity == "error" for finding in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types: the fields without the annotations, and `ok`."""
        fields = asdict(replace(self, clean=Annotations(self.name, (), ())))
        del fields["clean"]
        return {**fields, "ok": self.ok}


def check_recordings(
    path: Path,
    options: ReadOptions,
    *,
    decode: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> RecordingDoctorReport:
    """Look at annotated recordings: at their videos, their bouts, and how classes and splits are filled.

    Args:
        path: An annotation file, or a folder with `annotations.csv`.
        options: As for `read_recordings`; what is missing is told, whatever they say.
        decode: Decode every video to its end; without it, damage and copies that were encoded anew are not found.
        on_progress: Called with the number of files done and of all files.
        workers: As for `look_at_files`.

    Raises:
        DataError: If the annotations cannot be read.
    """
    annotations = read_source(path, options)
    paths = [one.path for one in annotations.recordings if one.path is not None and exists(one.path)]
    files = look_at_files(paths, decode=decode, on_progress=on_progress, workers=workers)
    if not decode:
        files = {path: _probed(file) for path, file in files.items()}
    clean, changes = cleaned(annotations, files)
    data, findings = _as_training_sees_it(clean, options, path)
    findings += [
        *(Finding("warning", f"left out: {skipped.place}: {skipped.reason}") for skipped in annotations.skipped),
        *(Finding("warning", text) for text in annotations.warnings if NOT_THERE not in text),
        *unreadable(files),
        *_not_there(annotations.recordings),
        *_not_annotated(annotations.recordings, options.videos),
        *_spellings(annotations),
        *_past_the_end(annotations.recordings, files),
        *_twice(annotations.recordings),
        *_overlapping(clean.recordings),
        *_short(annotations.recordings),
        *_copies(annotations.recordings, data, files),
    ]
    counts = _counts(data, clean)
    findings += _missing(counts)
    report = tuple(sorted(dict.fromkeys(findings), key=lambda finding: finding.severity))
    return RecordingDoctorReport(annotations.name, len(files), counts, report, clean, tuple(changes))


def _probed(file: CheckedFile) -> CheckedFile:
    try:
        return file if file.error else replace(file, duration_s=probe(file.path).duration_s)
    except MediaError as exc:
        return CheckedFile(file.path, error=str(exc))


def _as_training_sees_it(
    clean: Annotations, options: ReadOptions, source: Path
) -> tuple[RecognitionData | None, list[Finding]]:
    """Return the data set that can be made of annotations, None where none can, and what is said of it."""
    if not clean.recordings:
        return None, []
    try:
        data = data_of(clean, replace(options, skip_missing=True), source)
    except DataError as exc:
        return None, [Finding("error", text) for text in exc.problems]
    return data, [Finding("warning", text) for text in data.warnings]


def _not_there(recordings: Sequence[Recording]) -> Iterator[Finding]:
    for recording in recordings:
        if recording.path is None:
            yield Finding("error", f"{recording.name}: the annotations name no video of it")
        elif not exists(recording.path):
            yield Finding(
                "error", f"{recording.name}: {recording.path} is not there; put it there, or name its folder: --videos"
            )


def _not_annotated(recordings: Sequence[Recording], videos: Path | None) -> Iterator[Finding]:
    for recording in recordings:
        if not recording.bouts and recording.looked_at is None:
            text = "has no bout, and nothing says that it was gone through; annotate it, or leave it out"
            yield Finding("warning", f"{recording.name}: {text}")
    known = {one.path.resolve() for one in recordings if one.path is not None and exists(one.path)}
    folders = {videos.resolve()} if videos is not None else {path.parent for path in known}
    beside = [
        path
        for folder in sorted(folders)
        for path in sorted(folder.rglob("*") if videos is not None else folder.iterdir())
        if path.suffix.lower() in VIDEO_SUFFIXES and not is_clutter(path.name) and path.resolve() not in known
    ]
    if beside:
        yield Finding("warning", f"not annotated: {first_of(list(map(str, beside)))}")


def _spellings(annotations: Annotations) -> Iterator[Finding]:
    for labels in spellings(annotations):
        names = " and ".join(f"{label!r} ({count} bouts)" for label, count in labels.items())
        yield Finding("error", f"one label in {len(labels)} spellings, which would be {len(labels)} classes: {names}")


def _past_the_end(recordings: Sequence[Recording], files: Mapping[Path, CheckedFile]) -> Iterator[Finding]:
    for recording in recordings:
        file = files.get(recording.path) if recording.path is not None else None
        if file is None or file.duration_s is None:
            continue
        for bout in recording.bouts:
            past_s = bout.end_s - file.duration_s
            if past_s > TICK_S:
                far = past_s > FAR_PAST_S or bout.start_s >= file.duration_s
                yield Finding(
                    "error" if far else "warning",
                    f"{said(recording.name, bout)} goes past the end of the video at {file.duration_s:.2f} s; "
                    "is it the right video, and at the right rate?",
                )


def _twice(recordings: Sequence[Recording]) -> Iterator[Finding]:
    """Yield bouts of one label and subject that overlap: one of them was meant to be something else, or is a copy."""
    for recording in recordings:
        open_bouts: dict[tuple[str, str], Bout] = {}
        for bout in recording.bouts:
            before = open_bouts.get((bout.label, bout.subject))
            same = before is not None and replace(bout, comment="") == replace(before, comment="")
            if before is not None and (same or overlap_s(_span(before), _span(bout)) > TICK_S):
                what = "is there twice" if same else f"overlaps the same behaviour from {before.start_s:g} s on"
                yield Finding("warning", f"{said(recording.name, bout)} {what}; keep one")
            if before is None or bout.end_s > before.end_s:
                open_bouts[bout.label, bout.subject] = bout


def _span(bout: Bout) -> tuple[float, float]:
    return bout.start_s, bout.end_s


def _overlapping(recordings: Sequence[Recording]) -> Iterator[Finding]:
    """Yield bouts of different labels and one subject that overlap, where hardly any do."""
    num_bouts = sum(not bout.is_point for recording in recordings for bout in recording.bouts)
    found: list[tuple[Recording, Bout, Bout]] = []
    involved: set[tuple[str, Bout]] = set()
    for recording in recordings:
        of_subject: dict[str, list[Bout]] = defaultdict(list)
        for bout in recording.bouts:
            of_subject[bout.subject].append(bout)
        for bouts in of_subject.values():
            for one, other in overlap_each_other(bouts, tolerance_s=TICK_S):
                found.append((recording, one, other))
                involved |= {(recording.name, one), (recording.name, other)}
    if len(involved) > FEW * num_bouts:
        return
    for recording, one, other in found:
        yield Finding(
            "warning",
            f"{said(recording.name, one)} overlaps {other.label!r} from {other.start_s:g} to {other.end_s:g} s, where "
            "behaviours else exclude each other; correct a border, or several are learnt at once",
        )


def _short(recordings: Sequence[Recording]) -> Iterator[Finding]:
    short: dict[str, list[str]] = defaultdict(list)
    for recording in recordings:
        for bout in recording.bouts:
            if not bout.is_point and bout.duration_s < SHORTEST_S - 1e-9:
                short[bout.label].append(said(recording.name, bout))
    for lines in short.values():
        yield Finding("warning", f"shorter than two frames of the ten a second that are sampled: {first_of(lines)}")


def _copies(
    recordings: Sequence[Recording], data: RecognitionData | None, files: Mapping[Path, CheckedFile]
) -> Iterator[Finding]:
    splits: dict[Path, set[str]] = defaultdict(set)
    bouts: dict[Path, Counter[tuple[str, float, float]]] = defaultdict(Counter)
    for recording in (*recordings, *(data.recordings if data else ())):
        if recording.path is not None and recording.split:
            splits[recording.path].add(recording.split)
    for recording in recordings:
        if recording.path is not None:
            bouts[recording.path].update((bout.label, bout.start_s, bout.end_s) for bout in recording.bouts)
    for paths, text in (*same_content(files), *same_pictures(files)):
        if len(own := {split for path in paths for split in splits[path]}) > 1:
            yield Finding("error", f"{text}, in {' and '.join(sorted(own))}: scores will be too good; keep one")
        elif any(bouts[path] != bouts[paths[0]] for path in paths):
            yield Finding("error", f"{text}, annotated differently: keep one")
        else:
            yield Finding("warning", f"{text}: keep one")


def _counts(data: RecognitionData | None, clean: Annotations) -> dict[str, dict[str, Amount]]:
    recordings = data.recordings if data else clean.recordings
    counts: dict[str, dict[str, Amount]] = {}
    for split in sorted({one.split for one in recordings}, key=("", *SPLITS).index):
        bouts = [bout for one in recordings if one.split == split for bout in one.bouts]
        counts[split or "all"] = {
            label: Amount(sum(b.label == label for b in bouts), sum(b.duration_s for b in bouts if b.label == label))
            for label in clean.labels
        }
    return counts


def _missing(counts: Mapping[str, Mapping[str, Amount]]) -> Iterator[Finding]:
    """Yield the classes that a split lacks and another has."""
    annotated = {label for amounts in counts.values() for label, amount in amounts.items() if amount.bouts}
    if len(annotated) == 1:
        yield Finding("warning", f"one behaviour only, {next(iter(annotated))!r}: it is told from background alone")
    if not counts or "all" in counts:
        return
    for split in SPLITS:
        if split not in counts:
            yield Finding("warning", f"no {split} split")
        elif lacking := [label for label in counts[split] if label in annotated and not counts[split][label].bouts]:
            yield Finding("error" if split == "train" else "warning", f"{split}: no bout of {first_of(lacking)}")
