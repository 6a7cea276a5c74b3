"""Data sets in the layouts that are read, of empty files, and what tests of all layouts ask of them."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from lrcn.data.recognition.readers import (
    RecognitionData,
    read_recognition_data,
)
from lrcn.errors import DataError


def touch(root: Path, *names: str) -> Path:
    """Empty files: readers do not open videos."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def by_split(data: RecognitionData, root: Path) -> dict[str, list[tuple[str, str]]]:
    found = defaultdict(list)
    for example in data.examples:
        found[example.split].append((example.path.relative_to(root).as_posix(), example.label))
    return {split: sorted(rows) for split, rows in found.items()}


def refusal(path: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read_recognition_data(path, **options)  # type: ignore[arg-type]
    for line in (str(caught.value), *caught.value.problems):
        assert "\n" not in line
    return caught.value


def write_csv(root: Path, text: str, encoding: str = "utf-8") -> Path:
    touch(root, "a.mp4", "b.mp4", "sub/c, d.mp4", "frames/1.jpg")
    (root / "annotations.csv").write_bytes(text.encode(encoding))
    return root


UCF = [
    f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
    for name in ("Zorbing", "Archery")
    for group in range(1, 7)
    for clip in (1, 2)
]


def ucf101(root: Path, *, videos: str = "UCF-101/{}", lists: str = "ucfTrainTestlist") -> Path:
    """Two classes, numbered against the alphabet; groups 1 and 2 are for the test."""
    touch(root, *(videos.format(name if "{}" in videos else Path(name).name) for name in UCF))
    (root / lists).mkdir(exist_ok=True)
    test = [name for name in UCF if re.search("_g0[12]_", name)]
    number = {"Zorbing": 1, "Archery": 2}
    (root / lists / "classInd.txt").write_text("1 Zorbing\r\n2 Archery\r\n\r\n")
    (root / lists / "trainlist01.txt").write_text(
        "".join(f"{name} {number[name.split('/')[0]]}\r\n" for name in UCF if name not in test)
    )
    (root / lists / "testlist01.txt").write_text("".join(f"{name}\r\n" for name in test))
    return root


def hmdb51(root: Path) -> Path:
    names = {
        label: [
            f"{movie}_{label}_u_nm_np1_ba_goo_{clip}.avi" for movie in ("Up", "Alpha_1", "#9(x)") for clip in (0, 1)
        ]
        for label in ("brush_hair", "wave")
    }
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir()
    for label, files in names.items():
        touch(root, *(f"{label}/{name}" for name in files))
        codes = ["1", "1", "2", "2", "1", "0"]
        (lists / f"{label}_test_split1.txt").write_text(
            "".join(f"{name} {code} \n" for name, code in zip(files, codes, strict=True))
        )
    return root
