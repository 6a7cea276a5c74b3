"""Videos in folders of classes, with and without folders of splits."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.data.recognition.folders import by_split, refusal, touch

from lrcn.data.recognition.readers import (
    read_recognition_data,
)
from lrcn.errors import DataError


def test_split_folders(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "train/walk/a.mp4",
        "train/run/b.AVI",
        "Validation/walk/c.webm",
        "test/run/deep/down/d.mkv",
        "train/walk/notes.txt",
        "train/walk/._a.mp4",
        "cache/x.npy",
    )
    data = read_recognition_data(tmp_path)
    assert data.labels == ("run", "walk")
    assert by_split(data, tmp_path) == {
        "train": [("train/run/b.AVI", "run"), ("train/walk/a.mp4", "walk")],
        "val": [("Validation/walk/c.webm", "walk")],
        "test": [("test/run/deep/down/d.mkv", "run")],
    }
    assert data.warnings == ("beside train, val and test, these folders are left out: cache",)


def test_class_folders_give_train_and_val_and_no_test(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{number:03d}.mp4" for label in ("run", "walk") for number in range(10)))
    data = read_recognition_data(tmp_path, val_fraction=0.3)
    assert Counter((e.split, e.label) for e in data.examples) == {
        ("train", "run"): 7,
        ("train", "walk"): 7,
        ("val", "run"): 3,
        ("val", "walk"): 3,
    }
    assert data.warnings == ()
    with pytest.raises(DataError, match=r"no 'test' split; there is train \(14 examples\), val \(6 examples\)"):
        data.split("test")


def test_split_folders_without_val_get_one_from_train_alone(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{split}/run/{number}.mp4" for split in ("train", "test") for number in range(10)))
    data = read_recognition_data(tmp_path)
    assert Counter(e.split for e in data.examples) == {"train": 8, "val": 2, "test": 10}
    assert all(e.path.parts[-3] == "test" for e in data.split("test"))
    assert {e.split for e in read_recognition_data(tmp_path, val_fraction=0).examples} == {"train", "test"}


def test_folders_of_frames_are_videos(tmp_path: Path) -> None:
    touch(tmp_path, "run/one/1.jpg", "run/one/2.jpg", "run/two/1.png", "run/three.mp4")
    data = read_recognition_data(tmp_path, val_fraction=0)
    assert [e.path.name for e in data.examples] == ["one", "three.mp4", "two"]


def test_images_straight_in_a_class_folder_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "run/1.jpg", "run/2.jpg")
    assert "put the frames of each video in a folder of their own (run/video1/*.jpg)" in str(refusal(tmp_path))


def test_empty_class_folders_are_listed(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "walk/readme.txt", "jump/readme.txt")
    error = refusal(tmp_path)
    assert re.search(r"jump: this class folder holds no video; .* \(1 more\)$", str(error))
    assert len(error.problems) == 2
