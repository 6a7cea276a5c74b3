"""Read a recognition data set: whatever its layout, into examples with labels, splits and groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lrcn.annotations.formats import FORMATS
from lrcn.annotations.reading import LookedAt
from lrcn.config import VectorConfig
from lrcn.data.formats import add_reader, recognised
from lrcn.data.named_files import composed
from lrcn.data.problems import first_of
from lrcn.data.recognition.annotation_csv import detect_annotations_csv, read_annotations_csv
from lrcn.data.recognition.class_folders import (
    detect_class_folders,
    detect_split_folders,
    read_class_folders,
    read_split_folders,
)
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample
from lrcn.data.recognition.grouping import divide_train, torn_groups, with_groups
from lrcn.data.recognition.official_lists import detect_hmdb51, detect_ucf101, read_hmdb51, read_ucf101
from lrcn.data.recognition.recordings import detect_recordings, holds_bouts, read_recordings
from lrcn.data.recognition.web_lists import detect_activitynet, detect_kinetics, read_activitynet, read_kinetics
from lrcn.errors import DataError, lookup
from lrcn.video.sources import VIDEO_SUFFIXES

__all__ = [
    "READERS",
    "ReadOptions",
    "Reader",
    "RecognitionData",
    "RecognitionExample",
    "read_recognition_data",
    "register_reader",
]


@dataclass(frozen=True)
class Reader:
    """How one layout of a data set is recognised and read."""

    detect: Callable[[Path], bool]
    """Whether the path, a folder or a file, looks like this layout."""
    read: Callable[[Path, ReadOptions], RecognitionData]
    """Raises `DataError` for what is wrong. Groups may be left empty, and so may `val`: both are made afterwards."""
    numbered: bool = False
    """Whether there may be several official splits, of which `ReadOptions` names one."""


READERS: dict[str, Reader] = {
    "class-folders": Reader(detect_class_folders, read_class_folders),
    "split-folders": Reader(detect_split_folders, read_split_folders),
    "activitynet": Reader(detect_activitynet, read_activitynet),
    "hmdb51": Reader(detect_hmdb51, read_hmdb51, numbered=True),
    "ucf101": Reader(detect_ucf101, read_ucf101, numbered=True),
    "annotations-csv": Reader(detect_annotations_csv, read_annotations_csv),
    "kinetics": Reader(detect_kinetics, read_kinetics),
    "recordings": Reader(detect_recordings, read_recordings),
}
"""Layout -> reader. Registered ones go first; a path that two of ours recognise is refused, but that annotations of
recordings go before lists, and lists before folders: videos in class folders are what most lists name."""

_OWN = frozenset(READERS)
RECORDINGS = "recordings"
_FOLDERS = ("class-folders", "split-folders")


def register_reader(name: str, reader: Reader) -> None:
    """Add a layout, so that `read_recognition_data` and the command line know it; it is asked before ours.

    Raises:
        ConfigError: If the name is taken.
    """
    add_reader(READERS, name, reader, kind="data format")


def read_recognition_data(
    path: str | Path,
    *,
    format: str = "auto",
    val_fraction: float = 0.2,
    seed: int = 0,
    split_number: int = 1,
    skip_missing: bool = False,
    videos: str | Path | None = None,
    subject: str | None = None,
    looked_at: LookedAt = "auto",
    vectors: VectorConfig | None = None,
) -> RecognitionData:
    """Return the examples of a data set, checked: listed files exist, times and splits make sense.

    Where there is a `train` split and no `val` (class folders, UCF-101, HMDB-51), part of `train` becomes `val`, by
    whole groups of clips of one source video, class by class. `test` is never made, nor touched; but of annotated
    recordings that have no split it is a fifth.

    Args:
        path: A folder, or an annotation file.
        format: A key of `READERS`, a format of annotations (`lrcn.annotations.formats.FORMATS`), or `auto` for the one
            that recognises the path.
        val_fraction: Share of each class's training clips that becomes `val` where it is missing; 0 for none. Of
            recordings without a split the share of all.
        seed: Which ones.
        split_number: Which of several official lists, from 1.
        skip_missing: Leave out listed videos that are not there, and rows that cannot be used, with a warning.
        videos: Of annotated recordings: the folder below which they lie; None for that of the annotations.
        subject: Of annotated recordings: whose bouts count; None for all.
        looked_at: Of annotated recordings: what the annotator went through, as for `lrcn.read_annotations`.
        vectors: Given where the clips, of class folders, lists and annotated recordings, are files of ready vectors.

    Raises:
        DataError: If nothing is recognised, two layouts are, or rows are bad (`problems` holds them all), or a group
            given by the data set lies in two splits; or if the last three are given for clips.
        UnknownNameError: If `format` is none of `READERS`.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder or annotation file; check how it is spelt")
    says_of_recordings = (videos, subject, looked_at) != (None, None, "auto")
    try:
        name, annotation_format = layout_of(path, format, says_of_recordings=says_of_recordings)
        reader = lookup(READERS, name, kind="data format")
        if says_of_recordings and name in _OWN and name != RECORDINGS:
            raise DataError(f"{path}: read as {name}; videos, subject and looked_at are for annotations of recordings")
        if split_number != 1 and not reader.numbered:
            raise DataError(f"{path}: read as {name}, which has one split: give the number 1, not {split_number}")
        options = ReadOptions(
            split_number=split_number,
            skip_missing=skip_missing,
            val_fraction=val_fraction,
            seed=seed,
            videos=None if videos is None else Path(videos),
            subject=subject,
            looked_at=looked_at,
            vectors=vectors,
            annotation_format=annotation_format,
        )
        data = _composed(reader.read(path, options))
    except OSError as exc:
        raise DataError(f"{exc.filename or path}: cannot be read: {exc.strerror or exc}") from exc
    declared = torn_groups(example for example in data.examples if example.group)
    if declared:
        raise DataError(f"{path}: {first_of(declared)}; give each group one split", tuple(declared))

    examples, warnings = with_groups(data.examples, path if path.is_dir() else path.parent)
    splits = {example.split for example in examples}
    if "train" in splits and "val" not in splits and not data.recordings:
        examples, more = divide_train(examples, val_fraction=val_fraction, seed=seed)
        warnings += more
    if torn := torn_groups(examples):
        warnings.append(f"{first_of(torn)}: scores on them will be too good")
    undivided = splits == {"train"}
    return replace(data, examples=tuple(examples), warnings=(*data.warnings, *warnings), undivided=undivided)


def layout_of(path: Path, format: str = "auto", *, says_of_recordings: bool = False) -> tuple[str, str]:
    """Return the layout that a path is read as, and for `RECORDINGS` the format of its annotations, or `auto`.

    Args:
        path: A folder, or an annotation file.
        format: As for `read_recognition_data`.
        says_of_recordings: Whether anything is given that only recordings have.

    Raises:
        DataError: If nothing is recognised, or two layouts are.
        OSError: If the path cannot be read.
    """
    if format == "auto":
        return (RECORDINGS if says_of_recordings and holds_bouts(path) else _recognised(path)), "auto"
    if format in FORMATS and format not in READERS:
        return RECORDINGS, format
    return format, "auto"


def _composed(data: RecognitionData) -> RecognitionData:
    """Return the data set with each label in one spelling, of those that look alike."""
    labels = tuple(dict.fromkeys(map(composed, data.labels)))
    return replace(
        data, labels=labels, examples=tuple(replace(each, label=composed(each.label)) for each in data.examples)
    )


def _recognised(path: Path) -> str:
    others = {name: reader for name, reader in READERS.items() if name != RECORDINGS}
    lists = {name: reader for name, reader in others.items() if name not in _FOLDERS}
    of_recordings = {name: reader for name, reader in READERS.items() if name == RECORDINGS or name not in _OWN}
    for readers in (of_recordings, lists, others):
        if name := recognised(path, readers, _FOLDERS if readers is others else _OWN):
            return name
    if path.is_dir() and any(entry.suffix.lower() in VIDEO_SUFFIXES for entry in path.iterdir()):
        remedy = "put each video in a folder named after its class, or list them in annotations.csv (path,label,split)"
        raise DataError(f"{path}: its videos lie in no class folder; {remedy}")
    raise DataError(f"{path}: no data set recognised here; known layouts: {', '.join(READERS)}")
