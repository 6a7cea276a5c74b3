"""Which reader reads a path, ours and those from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.recognition.folders import UCF, refusal, touch, ucf101, write_csv

from lrcn.data.recognition.readers import (
    READERS,
    Reader,
    ReadOptions,
    RecognitionData,
    RecognitionExample,
    read_recognition_data,
    register_reader,
)
from lrcn.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize("names", [[], ["a.mp4", "b.mp4"], ["readme.txt"], ["x/y.txt"]])
def test_folder_without_a_data_set_is_one_line(tmp_path: Path, names: list[str]) -> None:
    touch(tmp_path, *names)
    assert str(tmp_path) in str(refusal(tmp_path))


def test_videos_in_no_class_folder_get_a_hint(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    assert "put each video in a folder named after its class" in str(refusal(tmp_path))


def test_missing_folder_and_wrong_format_are_one_line(tmp_path: Path) -> None:
    assert "no such folder" in str(refusal(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError, match="did you mean 'ucf101'"):
        read_recognition_data(tmp_path, format="ucf10")
    touch(tmp_path, "a.mp4")
    assert "cannot be read" in str(refusal(tmp_path / "a.mp4", format="class-folders"))
    for name in READERS:
        refusal(tmp_path, format=name)


@pytest.fixture
def toy_format() -> Iterator[str]:
    """Lines `class video` in a file named toy.txt."""

    def read(path: Path, options: ReadOptions) -> RecognitionData:
        rows = [line.split() for line in (path / "toy.txt").read_text().splitlines()]
        examples = tuple(RecognitionExample(path / video, label, "train") for label, video in rows)
        return RecognitionData(tuple(sorted({label for label, _ in rows})), examples, "toy")

    register_reader("toy", Reader(lambda path: (path / "toy.txt").is_file(), read))
    yield "toy"
    del READERS["toy"]


def test_reader_from_outside_is_asked_first(tmp_path: Path, toy_format: str) -> None:
    touch(tmp_path, "folder/a.mp4", "folder/b.mp4")
    (tmp_path / "toy.txt").write_text("run folder/a.mp4\nrun folder/b.mp4\n")
    data = read_recognition_data(tmp_path)
    assert data.name == "toy"
    assert Counter(e.split for e in data.examples) == {"train": 1, "val": 1}
    assert read_recognition_data(tmp_path, format="class-folders").labels == ("folder",)


def test_taken_reader_name_is_refused(toy_format: str) -> None:
    for name in (toy_format, "ucf101"):
        with pytest.raises(ConfigError, match=f"data format '{name}' is taken"):
            register_reader(name, READERS["ucf101"])


def test_two_lists_of_one_data_set_are_refused_with_the_way_out(tmp_path: Path) -> None:
    ucf101(tmp_path)
    write_csv(tmp_path, "path,label\n" + f"UCF-101/{UCF[0]},go\n")
    error = str(refusal(tmp_path))
    assert error == (
        f"{tmp_path}: can be read as ucf101 and as annotations-csv, which may disagree; name one file, or choose with "
        "--format ucf101"
    )
    assert len(read_recognition_data(tmp_path, format="ucf101").examples) == len(UCF)
    assert read_recognition_data(tmp_path / "annotations.csv").labels == ("go",)


def test_a_list_goes_before_the_folders_that_its_videos_lie_in(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/a.mp4", "train/run/b.mp4")
    write_csv(tmp_path, "path,label\ntrain/walk/a.mp4,go\n")
    assert read_recognition_data(tmp_path).labels == ("go",)
    assert read_recognition_data(tmp_path, format="split-folders").labels == ("run", "walk")
    (tmp_path / "annotations.csv").unlink()
    assert read_recognition_data(tmp_path).labels == ("run", "walk")


def test_a_list_finds_its_video_beside_a_picture_of_the_same_name(tmp_path: Path) -> None:
    ucf101(tmp_path)
    touch(tmp_path, f"thumbnails/{Path(UCF[0]).stem}.jpg", f"UCF-101/{Path(UCF[0]).with_suffix('.jpg')}")
    assert len(read_recognition_data(tmp_path).examples) == len(UCF)


def test_a_second_split_of_a_layout_that_has_one_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    write_csv(tmp_path, "path,label,split\na.mp4,go,train\nb.mp4,go,test\n")
    assert str(refusal(tmp_path, split_number=2)) == (
        f"{tmp_path}: read as annotations-csv, which has one split: give the number 1, not 2"
    )
    assert len(read_recognition_data(tmp_path, split_number=1).examples) == 2
