"""Annotated long recordings as a data set: examples are cut from the bouts, and from what lies between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lrcn.annotations.formats import read_annotations, recognised_files
from lrcn.annotations.vector_files import read_vectors
from lrcn.bouts import (
    BACKGROUND,
    Annotations,
    Bout,
    Recording,
    Region,
    Span,
    labels_of,
    overlap_each_other,
    overlap_s,
    union,
)
from lrcn.config import VectorConfig
from lrcn.data.csv_table import table_columns
from lrcn.data.named_files import exists
from lrcn.data.problems import Problems, first_of
from lrcn.data.recognition.annotation_csv import find_annotations
from lrcn.data.recognition.cutting import TICK_S, clipped, examples_of, known_spans
from lrcn.data.recognition.examples import TOGETHER, ReadOptions, RecognitionData, UnreadRecording
from lrcn.data.recognition.recording_splits import divided
from lrcn.errors import DataError, MediaError
from lrcn.video.read import probe
from lrcn.video.regions import check_region
from lrcn.video.sources import is_clutter

_COLUMNS = frozenset({"subject", "modifiers", "looked_at", "recording", "roi"})
"""One of these in a CSV file of ours says that its videos are recordings, and no clips."""


def detect_recordings(path: Path) -> bool:
    """Whether a file, the `annotations.csv` of a folder, or else the files in a folder without folders, hold bouts.

    Lists of ActivityNet, and CSV files of ours with none of the columns subject, modifiers, looked_at, recording and
    roi, hold them too, and are read as lists of clips all the same, unless `read_recognition_data` is told otherwise;
    so are folders of class folders beside which annotations lie.
    """
    source = _source(path)
    if source is None or (source.is_dir() and _has_folders(source)):
        return False
    return any(
        name != "activitynet" and (name != "bouts-csv" or not _COLUMNS.isdisjoint(table_columns(file)))
        for file, name in recognised_files(source)
    )


def holds_bouts(path: Path) -> bool:
    """Whether a file, the `annotations.csv` of a folder, or else the files in a folder can be read as bouts."""
    source = _source(path)
    return source is not None and bool(recognised_files(source))


def _source(path: Path) -> Path | None:
    """Return the file of annotations that a path is or holds, or the folder of such files; None for neither."""
    return path if path.is_file() else find_annotations(path) or (path if path.is_dir() else None)


def _has_folders(folder: Path) -> bool:
    return any(entry.is_dir() and not is_clutter(entry.name) for entry in folder.iterdir())


def read_recordings(path: Path, options: ReadOptions) -> RecognitionData:
    """Read annotations of recordings, in any of the formats of `lrcn.read_annotations`, of one file or a folder.

    Raises:
        DataError: If they cannot be read, a recording is not there, or nothing is left to learn from.
    """
    return data_of(read_source(path, options), options, _source(path) or path)


def read_source(path: Path, options: ReadOptions) -> Annotations:
    """Return what an annotation file, the `annotations.csv` of a folder, or else the files in a folder say.

    Raises:
        DataError: If it cannot be read.
    """
    return read_annotations(
        _source(path) or path,
        format=options.annotation_format,
        videos=options.videos,
        subject=options.subject,
        looked_at=options.looked_at,
        vectors=options.vectors is not None,
    )


def data_of(annotations: Annotations, options: ReadOptions, source: Path) -> RecognitionData:
    """Return the examples of annotated recordings.

    Bouts of different labels that overlap in a recording make the data set `multi_label`; else what no bout covers of
    the spans looked at is a class of its own, `BACKGROUND`.

    Args:
        annotations: As they were read.
        options: As for every reader.
        source: The annotation file, for messages.

    Raises:
        DataError: If a recording is not there, or nothing is left to learn from; `problems` holds all lines.
    """
    warnings = list(annotations.warnings)
    if annotations.skipped:
        lines = [f"{skipped.place}: {skipped.reason}" for skipped in annotations.skipped]
        warnings.append(f"left out: {first_of(lines)}")
    problems = Problems(options.skip_missing)
    annotated = annotations.recordings
    if options.vectors is not None and any(recording.roi for recording in annotated):
        warnings.append(f"{source.name}: regions of interest are of pictures, and ready vectors are read without them")
        annotated = tuple(replace(recording, roi=None) for recording in annotated)
    recordings = _joined(list(_found(annotated, problems)), warnings)
    warnings += problems.check(len(recordings), source, "recording")
    unread: list[UnreadRecording] = []
    recordings = list(_measured(recordings, options.vectors, warnings, unread))
    if not recordings:
        raise DataError(f"{source}: no recording can be read: {first_of(warnings)}")
    _tell_points(recordings, warnings)
    if all(recording.looked_at is None for recording in recordings):
        warnings.append(
            f"{source.name}: nothing says that a recording was annotated to its end, so what lies between bouts is not "
            "used; where none of the behaviours is shown there, add --looked-at whole"
        )
    overlapping = [(recording, pair) for recording in recordings for pair in _at_once(recording.bouts)]
    if overlapping:
        recording, (one, other) = overlapping[0]
        warnings.append(
            f"{len(overlapping)} pairs of bouts overlap, the first {one.label!r} and {other.label!r} at "
            f"{other.start_s:g} s of {recording.name}: several behaviours at once are learnt, each judged by itself"
            + ("; --subject takes those of one" if one.subject != other.subject else "")
        )
    several = bool(overlapping)
    labels = tuple(label for label in _learnt(annotations, recordings) if label != BACKGROUND)
    if several and (odd := [label for label in labels if TOGETHER in label]):
        raise DataError(
            f"{source}: the behaviour {odd[0]!r} has a {TOGETHER} in its name, which joins names; rename it"
        )
    stretches, told = divided(recordings, several=several, val_fraction=options.val_fraction, seed=options.seed)
    if not labels:
        raise DataError(f"{source}: no bout has a length, so there is nothing to learn; annotate starts and stops")
    examples = examples_of(stretches, several=several)
    if any(example.label == BACKGROUND for example in examples):
        labels = (*labels, BACKGROUND)
    return RecognitionData(
        labels,
        tuple(examples),
        annotations.name,
        tuple(warnings + told),
        recordings=tuple(stretch.recording for stretch in stretches),
        unread=tuple(unread),
        multi_label=several,
    )


def _found(recordings: Iterable[Recording], problems: Problems) -> Iterable[Recording]:
    for recording in recordings:
        if recording.path is None:
            problems.add_missing(recording.name, "its video, which the annotations do not name,")
        elif exists(recording.path):
            yield recording
        else:
            problems.add_missing(recording.name, str(recording.path))


def _joined(recordings: Sequence[Recording], warnings: list[str]) -> list[Recording]:
    """Return one recording for each file and region of it: annotations of different stretches belong together."""
    joined: dict[tuple[Path, Region | None], Recording] = {}
    for recording in recordings:
        assert recording.path is not None
        place = recording.path.resolve(), recording.roi
        first = joined.setdefault(place, recording)
        if first is recording:
            continue
        spans = (known_spans(first), known_spans(recording))
        if any(overlap_s(one, other) > TICK_S for one in spans[0] for other in spans[1]):
            warnings.append(
                f"left out: {recording.name}, which annotates the same time of {recording.path.name} as {first.name}; "
                "keep one of them, or choose a subject"
            )
            continue
        bouts = sorted((*first.bouts, *recording.bouts), key=lambda bout: bout.start_s)
        looked_at: tuple[Span, ...] | None = None
        if first.looked_at is not None or recording.looked_at is not None:
            looked_at = tuple(union((*(first.looked_at or spans[0]), *(recording.looked_at or spans[1]))))
        whole = replace(first, bouts=tuple(bouts), looked_at=looked_at)
        joined[place] = whole.watching(recording.idle_subjects)
    return list(joined.values())


def _measured(
    recordings: Iterable[Recording],
    vectors: VectorConfig | None,
    warnings: list[str],
    unread: list[UnreadRecording],
) -> Iterable[Recording]:
    """Yield what can be read, with its length; bouts end with the file."""
    for recording in recordings:
        assert recording.path is not None
        try:
            duration_s = _duration(recording) if vectors is None else read_vectors(recording.path, vectors).end_s
        except MediaError as exc:
            warnings.append(f"left out: {exc}")
            unread.append(UnreadRecording(recording.name, recording.split, str(exc)))
            continue
        past = [bout for bout in recording.bouts if bout.end_s > duration_s + TICK_S]
        if past:
            beyond = sum(bout.start_s >= duration_s for bout in past)
            warnings.append(
                f"{recording.name}: {len(past)} bouts go past its end at {duration_s:.2f} s and are cut there"
                + (f" ({beyond} begin after it and are left out)" if beyond else "")
                + f", the first {past[0].label!r} at {past[0].start_s:g} s; is it the right video, at the right rate?"
            )
        yield clipped(replace(recording, duration_s=duration_s), (0.0, duration_s), recording.split)


def _duration(recording: Recording) -> float:
    """Return how long a recording's video is, once its region of interest lies in the picture."""
    assert recording.path is not None
    info = probe(recording.path)
    if recording.roi is not None:
        try:
            check_region(recording.roi, info.height, info.width)
        except MediaError as exc:
            raise MediaError(f"{recording.path}: {exc}") from exc
    return info.duration_s


def _tell_points(recordings: Iterable[Recording], warnings: list[str]) -> None:
    counts = Counter(bout.label for recording in recordings for bout in recording.bouts if bout.is_point)
    if counts:
        lines = [f"{count} events of {label!r} have no length and teach nothing" for label, count in counts.items()]
        warnings.append(f"{first_of(lines)}; annotate when they start and stop")


def _at_once(bouts: Iterable[Bout]) -> list[tuple[Bout, Bout]]:
    """Return the pairs of bouts of different behaviours that are shown at once."""
    return overlap_each_other([bout for bout in bouts if bout.label != BACKGROUND], tolerance_s=TICK_S)


def _learnt(annotations: Annotations, recordings: Sequence[Recording]) -> list[str]:
    """Return the labels of bouts with a length, in the file's order."""
    lasting = [replace(one, bouts=tuple(bout for bout in one.bouts if not bout.is_point)) for one in recordings]
    found = labels_of(lasting)
    return [
        *(label for label in annotations.labels if label in found),
        *(x for x in found if x not in annotations.labels),
    ]
