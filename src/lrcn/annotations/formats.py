"""Formats of annotations by name, and the two functions that read and write them.

annotations = lrcn.read_annotations("project.boris", videos="videos")
lrcn.write_annotations(annotations, "annotations.csv")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lrcn.annotations.boris_project import detect_boris_project, read_boris_project, write_boris_project
from lrcn.annotations.bouts_csv import detect_bouts_csv, read_bouts_csv, write_bouts_csv
from lrcn.annotations.media import MediaFinder
from lrcn.annotations.reading import LookedAt, ReadOptions
from lrcn.bouts import Annotations
from lrcn.errors import ConfigError, DataError, lookup


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


FORMATS: dict[str, AnnotationFormat] = {
    "boris-project": AnnotationFormat(".boris", detect_boris_project, read_boris_project, write_boris_project),
    "bouts-csv": AnnotationFormat(".csv", detect_bouts_csv, read_bouts_csv, write_bouts_csv),
}
"""Name -> format. The first that recognises a file reads it, registered ones before ours."""

_OWN = frozenset(FORMATS)


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
) -> Annotations:
    """Return what an annotation file says, as bouts of recordings; nothing is left out in silence.

    Args:
        path: The file.
        format: A key of `FORMATS`, or `auto` for the one that recognises the file.
        videos: Folder below which its videos lie; None for the file's own. They need not be there.
        subject: Keep the bouts of this one only; `""` is nobody in particular.
        looked_at: What the annotator went through: `auto`, what the format says; `whole`, every recording from start
            to end; `bouts`, nothing but the bouts.
        fps: Frame rate of the videos, for formats that count frames, where neither the file nor the video tells it.

    Raises:
        DataError: If the file cannot be read, or nobody is called `subject`.
        UnknownNameError: If `format` is none of `FORMATS`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such annotation file")
    name = format if format != "auto" else recognised_format(path)
    if name is None:
        known = ", ".join(name for name, one in FORMATS.items() if one.read is not None)
        raise DataError(f"{path}: no annotations recognised here; known formats: {known}")
    read = lookup(FORMATS, name, kind="annotation format").read
    if read is None:
        raise DataError(f"{path}: {name} is only written, not read")
    folder = Path(videos) if videos is not None else None
    if folder is not None and not folder.is_dir():
        raise DataError(f"{folder}: no such folder of videos")
    found = read(path, ReadOptions(MediaFinder(path, folder), looked_at, fps))
    accounted = found.num_bouts - found.num_copies + len(found.skipped)
    if accounted != found.num_events:
        raise DataError(
            f"{path}: holds {found.num_events} events, and {accounted} are accounted for; "
            f"this is a bug in the reader {name}, please report it with the file"
        )
    return found if subject is None else _of_subject(found, subject, path)


def _of_subject(annotations: Annotations, subject: str, path: Path) -> Annotations:
    subjects = {bout.subject for recording in annotations.recordings for bout in recording.bouts}
    if subject not in subjects:
        known = ", ".join(sorted(name or '"" (nobody)' for name in subjects))
        raise DataError(f"{path}: nobody is called {subject!r}; there are {known or 'no bouts at all'}")
    recordings = tuple(
        replace(recording, bouts=tuple(bout for bout in recording.bouts if bout.subject == subject))
        for recording in annotations.recordings
    )
    kept = replace(annotations, recordings=recordings)
    return replace(kept, num_events=annotations.num_events + kept.num_bouts - annotations.num_bouts)


def write_annotations(annotations: Annotations, path: str | Path, *, format: str | None = None) -> None:
    """Write annotations, or a model's bouts, for another program.

    Args:
        annotations: What is written.
        path: The file. Of formats that are a file a recording, a folder unless it has their suffix.
        format: A key of `FORMATS`; None goes by the suffix.

    Raises:
        ConfigError: If there is no such format, it is only read, or one file would have to hold several recordings.
        DataError: If the format cannot hold these bouts.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    writable = {name: one for name, one in FORMATS.items() if one.write is not None}
    if format is None:
        format = format_for(path)
    write = lookup(writable, format, kind="annotation format to write").write
    assert write is not None
    write(annotations, path)


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
