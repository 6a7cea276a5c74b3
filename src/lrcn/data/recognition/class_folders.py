"""Data sets without a list: the folder that a video lies in is its class."""

from __future__ import annotations

from pathlib import Path

from lrcn.data.problems import Problems
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample, sorted_labels
from lrcn.data.splits import SPLIT_NAMES
from lrcn.errors import MediaError
from lrcn.video.sources import expand_sources


def detect_class_folders(path: Path) -> bool:
    """Whether `path` is a folder of folders, none of them a split."""
    return path.is_dir() and bool(_subfolders(path)) and not detect_split_folders(path)


def read_class_folders(path: Path, options: ReadOptions) -> RecognitionData:
    """Read `DATA/<class>/*`, at any depth below the class; everything is in `train`."""
    problems = Problems(options.skip_missing)
    examples = [example for folder in _subfolders(path) for example in _class(folder, "train", problems)]
    warnings = problems.check(len(examples), path)
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings)


def detect_split_folders(path: Path) -> bool:
    """Whether `path` holds a folder named like a split that holds folders itself."""
    return path.is_dir() and any(_is_split(folder) and _subfolders(folder) for folder in _subfolders(path))


def read_split_folders(path: Path, options: ReadOptions) -> RecognitionData:
    """Read `DATA/{train,val,test}/<class>/*`, at any depth below the class; each split may be missing."""
    problems = Problems(options.skip_missing)
    examples = []
    ignored = []
    for split_folder in _subfolders(path):
        if not _is_split(split_folder):
            ignored.append(split_folder.name)
            continue
        split = SPLIT_NAMES[split_folder.name.lower()]
        for folder in _subfolders(split_folder):
            examples += _class(folder, split, problems)
    warnings = problems.check(len(examples), path)
    if ignored:
        warnings += (f"beside train, val and test, these folders are left out: {', '.join(ignored)}",)
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings)


def _class(folder: Path, split: str, problems: Problems) -> list[RecognitionExample]:
    try:
        paths = expand_sources([folder])
    except MediaError:
        problems.add(str(folder), "this class folder holds no video; remove it, or put its videos there")
        return []
    if paths == [folder]:
        problems.add(
            str(folder),
            f"this class folder holds images, no videos; put the frames of each video in a folder of their own "
            f"({folder.name}/video1/*.jpg)",
        )
        return []
    return [RecognitionExample(path, folder.name, split) for path in paths]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__")))


def _is_split(folder: Path) -> bool:
    return folder.name.lower() in SPLIT_NAMES
