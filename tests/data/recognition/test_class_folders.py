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
    assert data.warnings == (
        "beside train, val and test, these folders are left out: cache",
        f"passed over, being no videos in a class folder: 1 .txt; the first is {tmp_path / 'train/walk/notes.txt'}",
    )


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


def test_what_systems_put_among_the_files_is_no_class_and_no_clip(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{number}.mp4" for label in ("run", "walk") for number in range(3)))
    touch(
        tmp_path,
        "run/@eaDir/0.mp4/SYNOVIDEO_VIDEO_SCREENSHOT.mp4",
        "@eaDir/run/x.mp4",
        "$RECYCLE.BIN/gone.mp4",
        "System Volume Information/y.mp4",
        "lost+found/z.mp4",
        "walk/desktop.ini",
        "walk/.DS_Store",
        "walk/labels.txt",
        "walk/more.zip",
        "outside.mp4",
    )
    data = read_recognition_data(tmp_path, val_fraction=0)
    assert data.labels == ("run", "walk")
    assert len(data.examples) == 6
    (warning,) = (text for text in data.warnings if "passed over" in text)
    for counted in ("5 folders of the system", "1 .txt", "1 .zip", "1 .mp4"):
        assert counted in warning


@pytest.mark.parametrize(
    ("folders", "is_split"),
    [
        (("train_256", "val_256"), True),
        (("Train-Set", "Test-Set"), True),
        (("training_videos", "testing_videos"), True),
        (("trainset224x224", "valset224x224"), True),
        (("train_station", "bus_stop"), False),
        (("test_drive", "park"), False),
    ],
)
def test_folders_named_after_a_split_and_a_size_are_splits(
    tmp_path: Path, folders: tuple[str, str], is_split: bool
) -> None:
    touch(tmp_path, *(f"{folder}/{label}/{n}.mp4" for folder in folders for label in ("run", "walk") for n in range(3)))
    labels = read_recognition_data(tmp_path).labels
    assert labels == (("run", "walk") if is_split else tuple(sorted(folders)))


def test_two_spellings_of_one_class_are_one(tmp_path: Path) -> None:
    touch(tmp_path, "train/h\u00fcpfen/a.mp4", "train/gehen/b.mp4", "test/hu\u0308pfen/c.mp4", "test/gehen/d.mp4")
    data = read_recognition_data(tmp_path)
    assert data.labels == ("gehen", "h\u00fcpfen")
    assert len(data.split("test")) == 2
