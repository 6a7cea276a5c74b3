"""The train and test lists that UCF-101 and HMDB-51 come with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lrcn.data.csv_table import read_text
from lrcn.data.named_files import NamedFiles
from lrcn.data.problems import Problems
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample, sorted_labels
from lrcn.errors import DataError

_HMDB_SPLITS = {"1": "train", "2": "test"}  # 0: in neither


def detect_ucf101(path: Path) -> bool:
    """Whether `trainlist01.txt` and the like lie in the folder, or in `ucfTrainTestlist` below it."""
    return _lists_folder(path, "ucfTrainTestlist", "trainlist*.txt") is not None


def read_ucf101(path: Path, options: ReadOptions) -> RecognitionData:
    """Read one of the official UCF-101 splits; labels are in the order of `classInd.txt`.

    Raises:
        DataError: If the split is not there or rows are bad; `problems` holds them all.
    """
    lists = _lists_folder(path, "ucfTrainTestlist", "trainlist*.txt")
    if lists is None:
        raise DataError(f"{path}: no trainlist01.txt in this folder or in ucfTrainTestlist below it")
    problems = Problems(options.skip_missing)
    class_ids = _ucf_class_ids(lists / "classInd.txt", problems)
    videos = NamedFiles(path, problems)
    examples = []
    for split in ("train", "test"):
        file = _numbered(lists, f"{split}list{options.split_number:02d}.txt", f"{split}list*.txt")
        for place, words in _lines(file):
            label, _, name = words[0].rpartition("/")
            if not label or len(words) > 2:
                problems.add(place, f"expected Class/video.avi and a class number, found {' '.join(words)!r}")
            elif class_ids and label not in class_ids:
                problems.add(place, f"class {label!r} is not in classInd.txt")
            elif class_ids and len(words) == 2 and words[1] != class_ids[label]:
                problems.add(
                    place, f"class {label!r} has number {words[1]} here and {class_ids[label]} in classInd.txt"
                )
            elif video := videos.by_stem(PurePosixPath(name).stem, place, label=label):
                examples.append(RecognitionExample(video, label, split))
    warnings = problems.check(len(examples), path)
    labels = sorted_labels(examples)
    if class_ids:
        labels = tuple(label for label in class_ids if label in labels)
    return RecognitionData(labels, tuple(examples), f"UCF-101 split {options.split_number}", warnings)


def detect_hmdb51(path: Path) -> bool:
    """Whether `<class>_test_split1.txt` and the like lie in the folder, or in `testTrainMulti_7030_splits` below it."""
    return _lists_folder(path, "testTrainMulti_7030_splits", "*_test_split*.txt") is not None


def read_hmdb51(path: Path, options: ReadOptions) -> RecognitionData:
    """Read one of the official HMDB-51 splits.

    Raises:
        DataError: If the split is not there or rows are bad; `problems` holds them all.
    """
    lists = _lists_folder(path, "testTrainMulti_7030_splits", "*_test_split*.txt")
    if lists is None:
        raise DataError(f"{path}: no <class>_test_split1.txt in this folder or in testTrainMulti_7030_splits below it")
    problems = Problems(options.skip_missing)
    videos = NamedFiles(path, problems)
    examples = []
    ending = f"_test_split{options.split_number}.txt"
    _numbered(lists, f"*{ending}", "*_test_split*.txt")
    for file in sorted(lists.glob(f"*{ending}")):
        label = file.name.removesuffix(ending)
        for place, words in _lines(file):
            if len(words) != 2 or words[1] not in ("0", *_HMDB_SPLITS):
                problems.add(place, f"expected video.avi and 0, 1 or 2, found {' '.join(words)!r}")
            elif words[1] in _HMDB_SPLITS and (
                video := videos.by_stem(PurePosixPath(words[0]).stem, place, label=label)
            ):
                examples.append(RecognitionExample(video, label, _HMDB_SPLITS[words[1]]))
    warnings = problems.check(len(examples), path)
    return RecognitionData(sorted_labels(examples), tuple(examples), f"HMDB-51 split {options.split_number}", warnings)


def _lists_folder(path: Path, name: str, pattern: str) -> Path | None:
    if not path.is_dir():
        return None
    candidates = (path, path / name, *sorted(path.glob(f"*/{name}")))
    return next((folder for folder in candidates if folder.is_dir() and any(folder.glob(pattern))), None)


def _numbered(lists: Path, wanted: str, pattern: str) -> Path:
    for file in lists.glob(wanted):
        return file
    there = sorted(file.name for file in lists.glob(pattern))
    raise DataError(f"{lists}: no {wanted}; there is {', '.join(there[:3]) or 'none'}: choose another split number")


def _lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the words of each line that is not empty."""
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        if words := line.split():
            yield f"{file.name} line {number}", words


def _ucf_class_ids(file: Path, problems: Problems) -> dict[str, str]:
    """Return class -> number, in the file's order; nothing if there is no file."""
    class_ids: dict[str, str] = {}
    if not file.is_file():
        return class_ids
    for place, words in _lines(file):
        if len(words) != 2 or not words[0].isdecimal():
            problems.add(place, f"expected a number and a class, found {' '.join(words)!r}")
        else:
            class_ids[words[1]] = words[0]
    return class_ids
