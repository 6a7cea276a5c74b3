"""Data sets without a list: the folder that a video lies in is its class."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from lrcn.data.problems import Problems
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample, sorted_labels
from lrcn.data.splits import SPLIT_NAMES
from lrcn.errors import MediaError
from lrcn.video.sources import VECTOR_SUFFIXES, expand_sources, is_clutter, passed_over


def detect_class_folders(path: Path) -> bool:
    """Whether `path` is a folder of folders, none of them a split."""
    return path.is_dir() and bool(_subfolders(path)) and not detect_split_folders(path)


def read_class_folders(path: Path, options: ReadOptions) -> RecognitionData:
    """Read `DATA/<class>/*`, at any depth below the class; everything is in `train`."""
    problems = Problems(options.skip_missing)
    examples = [example for folder in _subfolders(path) for example in _class(folder, "train", problems, options)]
    warnings = problems.check(len(examples), path) + _left_out(path, examples)
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings)


def detect_split_folders(path: Path) -> bool:
    """Whether `path` holds a folder named like a split that holds folders itself."""
    return path.is_dir() and any(_split_of(folder) and _subfolders(folder) for folder in _subfolders(path))


def read_split_folders(path: Path, options: ReadOptions) -> RecognitionData:
    """Read `DATA/{train,val,test}/<class>/*`, at any depth below the class; each split may be missing."""
    problems = Problems(options.skip_missing)
    examples = []
    for split_folder in _subfolders(path):
        split = _split_of(split_folder)
        if split is None:
            continue
        for folder in _subfolders(split_folder):
            examples += _class(folder, split, problems, options)
    warnings = problems.check(len(examples), path)
    if ignored := [folder.name for folder in _subfolders(path) if _split_of(folder) is None]:
        warnings += (f"beside train, val and test, these folders are left out: {', '.join(ignored)}",)
    warnings += _left_out(path, examples, *(path / name for name in ignored))
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings)


def _class(folder: Path, split: str, problems: Problems, options: ReadOptions) -> list[RecognitionExample]:
    try:
        paths = expand_sources([folder], vectors=options.vectors is not None)
    except MediaError:
        problems.add(str(folder), _why_empty(folder, options))
        return []
    if paths == [folder]:
        problems.add(
            str(folder),
            f"this class folder holds images, no videos; put the frames of each video in a folder of their own "
            f"({folder.name}/video1/*.jpg)",
        )
        return []
    return [RecognitionExample(path, folder.name, split) for path in paths]


def _why_empty(folder: Path, options: ReadOptions) -> str:
    if options.vectors is not None:
        return "this class folder holds no file of ready vectors; remove it, or put some there"
    if any(path.suffix.lower() in VECTOR_SUFFIXES for path in passed_over(folder, ())):
        return "this class folder holds no video; to train on tables of ready vectors: --stream vectors"
    return "this class folder holds no video; remove it, or put its videos there"


def _subfolders(folder: Path) -> list[Path]:
    entries = (entry for entry in folder.iterdir() if not entry.name.startswith("__") and not is_clutter(entry.name))
    return sorted(entry for entry in entries if entry.is_dir())


_SIZED = re.compile(r"([a-z]+?)(?:[-_ ]?(?:\d+(?:x\d+)?p?|set|data|split|videos?|clips?|frames?|images?))+")
"""`train_256`, `valset`, `test-frames`: a split, and what its files are."""


def _split_of(folder: Path) -> str | None:
    name = folder.name.lower()
    sized = _SIZED.fullmatch(name)
    return SPLIT_NAMES.get(name) or (SPLIT_NAMES.get(sized[1]) if sized else None)


def _left_out(root: Path, examples: list[RecognitionExample], *ignored: Path) -> tuple[str, ...]:
    """Return a line that counts what lies below the folder and is none of its videos."""
    left = passed_over(root, (*(example.path for example in examples), *ignored))
    if not left:
        return ()
    kinds = Counter("folders of the system" if path.is_dir() else path.suffix.lower() or "no suffix" for path in left)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))
    more = f", {len(kinds) - 4} kinds more" if len(kinds) > 4 else ""
    return (f"passed over, being no videos in a class folder: {told}{more}; the first is {left[0]}",)
