"""Formats of annotations by name, and the two functions that read and write them.

annotations = lrcn.read_annotations("project.boris", videos="videos")
lrcn.write_annotations(annotations, "annotations.csv")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrcn.annotations.activitynet import detect_activitynet, read_activitynet, write_activitynet
from lrcn.annotations.boris_aggregated import (
    detect_boris_aggregated,
    read_boris_aggregated,
    write_boris_aggregated,
)
from lrcn.annotations.boris_events import detect_boris_events, read_boris_events, write_boris_events
from lrcn.annotations.boris_project import detect_boris_project, read_boris_project, write_boris_project
from lrcn.annotations.bouts_csv import detect_bouts_csv, read_bouts_csv, write_bouts_csv
from lrcn.annotations.cvat import detect_cvat, read_cvat
from lrcn.annotations.elan import detect_elan, read_elan, write_elan
from lrcn.annotations.fiftyone import detect_fiftyone, read_fiftyone
from lrcn.annotations.label_studio import detect_label_studio, read_label_studio, write_label_studio
from lrcn.annotations.label_track import detect_label_track, read_label_track
from lrcn.annotations.losses import Kind, losses
from lrcn.annotations.media import MediaFinder
from lrcn.annotations.reading import LookedAt, ReadOptions
from lrcn.annotations.subtitles import write_subrip, write_webvtt
from lrcn.bouts import Annotations, labels_of
from lrcn.errors import ConfigError, DataError, lookup
from lrcn.video.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES


@dataclass(frozen=True)
class AnnotationFormat:
    """How files of one program are recognised, read and written."""

    suffix: str
    """Of files that are written; of several formats with one suffix, a path means the first."""
    detect: Callable[[Path], bool] = lambda path: False
    """Whether a file looks like this format."""
    read: Callable[[Path, ReadOptions], Annotations] | None = None
    """Raises `DataError` where nothing can be read; what is wrong with single events goes into `skipped`."""
    write: Callable[[Annotations, Path], None] | None = None
    """Raises `DataError` for what the format cannot hold and must not lose."""
    a_file_each: bool = False
    """Whether a file holds one recording only."""
    loses: frozenset[Kind] = frozenset()
    """What has no place in files that are written, which is then said."""


_IN_OURS_ALONE: frozenset[Kind] = frozenset({"splits", "groups", "regions"})
_NOT_IN_BORIS: frozenset[Kind] = _IN_OURS_ALONE | {"probabilities"}
_NOT_IN_TABLES: frozenset[Kind] = _NOT_IN_BORIS | {"recordings without bouts", "subjects without bouts"}
_NOT_IN_ELAN: frozenset[Kind] = _IN_OURS_ALONE | {"probabilities", "offsets", "point events"}
_NOT_IN_LISTS: frozenset[Kind] = _IN_OURS_ALONE | {"subjects", "subjects without bouts", "modifiers", "offsets"}

FORMATS: dict[str, AnnotationFormat] = {
    "boris-project": AnnotationFormat(
        ".boris", detect_boris_project, read_boris_project, write_boris_project, loses=_NOT_IN_BORIS
    ),
    "boris-events": AnnotationFormat(
        ".tsv", detect_boris_events, read_boris_events, write_boris_events, loses=_NOT_IN_TABLES
    ),
    "boris-aggregated": AnnotationFormat(
        ".tsv", detect_boris_aggregated, read_boris_aggregated, write_boris_aggregated, loses=_NOT_IN_TABLES
    ),
    "bouts-csv": AnnotationFormat(
        ".csv", detect_bouts_csv, read_bouts_csv, write_bouts_csv, loses=frozenset({"offsets"})
    ),
    "elan": AnnotationFormat(".eaf", detect_elan, read_elan, write_elan, a_file_each=True, loses=_NOT_IN_ELAN),
    "cvat": AnnotationFormat(".xml", detect_cvat, read_cvat),
    "label-studio": AnnotationFormat(
        ".json", detect_label_studio, read_label_studio, write_label_studio, loses=_NOT_IN_LISTS | {"point events"}
    ),
    "activitynet": AnnotationFormat(
        ".json", detect_activitynet, read_activitynet, write_activitynet, loses=_NOT_IN_LISTS | {"comments"}
    ),
    "fiftyone": AnnotationFormat(".json", detect_fiftyone, read_fiftyone),
    "label-track": AnnotationFormat(".txt", detect_label_track, read_label_track),
    "srt": AnnotationFormat(".srt", write=write_subrip, a_file_each=True),
    "vtt": AnnotationFormat(".vtt", write=write_webvtt, a_file_each=True),
}
"""Name -> format. The first that recognises a file reads it, registered ones before ours."""

_OWN = frozenset(FORMATS)
_NOT_READ = VIDEO_SUFFIXES | IMAGE_SUFFIXES


def register_annotation_format(name: str, format: AnnotationFormat) -> None:
    """Add a format, so that `read_annotations`, `write_annotations` and the command line know it; asked before ours.

    Raises:
        ConfigError: If the name is taken.
    """
    if name in FORMATS:
        raise ConfigError(f"annotation format {name!r} is taken: register another name")
    FORMATS[name] = format


def recognised_format(path: Path) -> str | None:
    """Return the name of the format that a file looks like, None if there is none."""
    registered = [name for name in reversed(list(FORMATS)) if name not in _OWN]
    readable = [name for name in (*registered, *FORMATS) if FORMATS[name].read is not None]
    return next((name for name in readable if FORMATS[name].detect(path)), None)


def read_annotations(
    path: str | Path,
    *,
    format: str = "auto",
    videos: str | Path | None = None,
    subject: str | None = None,
    looked_at: LookedAt = "auto",
    fps: float | None = None,
    vectors: bool = False,
) -> Annotations:
    """Return what annotation files say, as bouts of recordings; nothing is left out in silence.

    Args:
        path: The file; or a folder of files of one format, as programs write them that make one for each recording.
        format: A key of `FORMATS`, or `auto` for the one that recognises the file.
        videos: Folder below which the videos lie; None for that of the file. They need not be there.
        subject: Keep the bouts of this one only; `""` is nobody in particular.
        looked_at: What the annotator went through: `auto`, what the format says; `whole`, every recording from start
            to end; `bouts`, nothing but the bouts.
        fps: Frame rate of the videos, for formats that count frames, where neither the file nor the video tells it.
        vectors: Look for files of ready vectors in place of the videos.

    Raises:
        DataError: If a file cannot be read, or nobody is called `subject`.
        UnknownNameError: If `format` is none of `FORMATS`.
    """
    path = Path(path)
    folder = Path(videos) if videos is not None else None
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: no such folder of videos")
    files = _files(path, format)
    media = MediaFinder(files[0][0], folder, vectors=vectors)  # they all lie in one folder
    options = ReadOptions(media, looked_at, fps)
    read = [_read(file, name, options) for file, name in files]
    found = read[0] if len(read) == 1 else _joined(path.name, read)
    never = set(found.labels) - set(labels_of(found.recordings))
    warnings = (
        f"{path.name}: {label!r} is never annotated; leave it out of training, or annotate it"
        for label in found.labels
        if label in never
    )
    found = replace(found, warnings=(*found.warnings, *warnings))
    return found if subject is None else _of_subject(found, subject, path)


def recognised_files(path: Path) -> list[tuple[Path, str]]:
    """Return the file that a path is, or the files in a folder, that look like annotations, with their formats."""
    files = _candidates(path) if path.exists() else []
    return [(file, name) for file in files if (name := recognised_format(file)) is not None]


def _candidates(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [file for file in sorted(path.iterdir()) if file.is_file() and file.suffix.lower() not in _NOT_READ]


def _files(path: Path, format: str) -> list[tuple[Path, str]]:
    """Return the annotation files that a path stands for, with their formats."""
    if not path.exists():
        raise DataError(f"{path}: no such annotation file or folder of them")
    found = recognised_files(path)
    if format != "auto":
        lookup(FORMATS, format, kind="annotation format")
        found = [(file, format) for file in _candidates(path) if not path.is_dir() or (file, format) in found]
    names = sorted({name for _, name in found})
    if len(names) > 1:
        raise DataError(f"{path}: holds annotations of {' and of '.join(names)}; name one file, or choose a --format")
    if not found:
        known = ", ".join(name for name, one in FORMATS.items() if one.read is not None)
        raise DataError(f"{path}: no annotations recognised here; known formats: {known}")
    return found


def _read(path: Path, name: str, options: ReadOptions) -> Annotations:
    read = FORMATS[name].read
    if read is None:
        raise DataError(f"{path}: {name} is only written, not read")
    found = read(path, options)
    accounted = found.num_bouts - found.num_copies + len(found.skipped)
    if accounted != found.num_events:
        raise DataError(
            f"{path}: holds {found.num_events} events, and {accounted} are accounted for; "
            f"this is a bug in the reader {name}, please report it with the file"
        )
    return found


def _joined(name: str, read: Sequence[Annotations]) -> Annotations:
    """Return what several files say; a recording of which two say the same, as one a recording and one of all do, once.

    Events of a recording that comes again count once, too.
    """
    seen: set[tuple[object, ...]] = set()
    recordings = []
    num_again = 0
    for recording in (recording for one in read for recording in one.recordings):
        key = recording.name, recording.path, recording.bouts, recording.roi, recording.looked_at
        if key in seen:
            num_again += len(recording.bouts)
        else:
            seen.add(key)
            recordings.append(recording)
    return Annotations(
        name,
        tuple(recordings),
        tuple(dict.fromkeys(label for one in read for label in one.labels)),
        tuple(skipped for one in read for skipped in one.skipped),
        sum(one.num_events for one in read) - num_again,
        sum(one.num_copies for one in read),
        tuple(warning for one in read for warning in one.warnings),
    )


def _of_subject(annotations: Annotations, subject: str, path: Path) -> Annotations:
    subjects = {bout.subject for recording in annotations.recordings for bout in recording.bouts}
    subjects.update(name for recording in annotations.recordings for name in recording.idle_subjects)
    if subject not in subjects:
        known = ", ".join(sorted(name or '"" (nobody)' for name in subjects))
        raise DataError(f"{path}: nobody is called {subject!r}; there are {known or 'no bouts at all'}")
    recordings = tuple(
        replace(
            recording, bouts=tuple(bout for bout in recording.bouts if bout.subject == subject), idle_subjects=()
        ).watching([subject])
        for recording in annotations.recordings
    )
    kept = replace(annotations, recordings=recordings)
    return replace(kept, num_events=annotations.num_events + kept.num_bouts - annotations.num_bouts)


def write_annotations(annotations: Annotations, path: str | Path, *, format: str | None = None) -> tuple[str, ...]:
    """Write annotations, or a model's bouts, for another program.

    Args:
        annotations: What is written.
        path: The file. Of formats that are a file a recording, a folder unless it has their suffix.
        format: A key of `FORMATS`; None goes by the suffix.

    Returns:
        A line for each kind of thing that the format has no place for.

    Raises:
        ConfigError: If there is no such format, it is only read, or one file would have to hold several recordings.
        DataError: If the format cannot hold these bouts.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    writable = {name: one for name, one in FORMATS.items() if one.write is not None}
    if format is None:
        format = format_for(path)
    chosen = lookup(writable, format, kind="annotation format to write")
    assert chosen.write is not None
    chosen.write(annotations, path)
    return losses(annotations, chosen.loses, format)


def format_for(path: Path) -> str:
    """Return the name of the first format that is written to files of a path's suffix.

    Raises:
        ConfigError: If there is none.
    """
    writable = {name: one for name, one in FORMATS.items() if one.write is not None}
    name = next((name for name, one in writable.items() if one.suffix == path.suffix.lower()), None)
    if name is None:
        known = ", ".join(f"{one.suffix} ({name})" for name, one in writable.items())
        raise ConfigError(f"{path}: no annotation format has the suffix {path.suffix!r}; there are {known}")
    return name
