from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.annotations.media import MediaFinder


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        (["mouse.csv", "mouse.mp4"], "mouse.mp4", "mouse.csv"),
        (["deep/mouse.safetensors"], "C:\\videos\\Mouse.avi", "deep/mouse.safetensors"),
        (["mouseDLC_resnet50_boxSep1shuffle1_1000.csv"], "mouse.mp4", "mouseDLC_resnet50_boxSep1shuffle1_1000.csv"),
        (["mouse.csv", "mouseDLC_resnet50.csv"], "mouse.mp4", "mouse.csv"),
        (["mouse.csv"], "mouse", "mouse.csv"),
        (["mouse.csv"], "mouse.csv", "mouse.csv"),
        (["mouse.1.csv"], "mouse.1", "mouse.1.csv"),
        (["a/mouse.csv", "b/mouse.csv"], "b/mouse.mp4", "b/mouse.csv"),
    ],
)
def test_the_name_of_a_video_stands_for_its_vectors(tmp_path: Path, files: list[str], name: str, expected: str) -> None:
    for file in files:
        (tmp_path / "tracks" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tracks" / file).touch()
    said: list[str] = []
    finder = MediaFinder(tmp_path / "notes.csv", tmp_path / "tracks", vectors=True)
    assert finder.find(name, said.append) == tmp_path / "tracks" / expected
    assert said == []


def test_vectors_that_are_missing_or_twice_there_are_said(tmp_path: Path) -> None:
    for name in ("notes.csv", "mouse.mp4", "ratDLC_one.csv", "ratDLC_two.csv"):
        (tmp_path / name).touch()
    said: list[str] = []
    finder = MediaFinder(tmp_path / "notes.csv", vectors=True)
    assert finder.find("mouse.mp4", said.append) == tmp_path / "mouse.csv"  # where it should be
    assert finder.find("rat.mp4", said.append) == tmp_path / "rat.csv"
    assert finder.find("notes.mp4", said.append) == tmp_path / "notes.csv"
    missing, twice, own = said
    assert missing.startswith(f"the vectors of mouse.mp4: a file of that name is not there, nor below {tmp_path}")
    assert twice.startswith(f"two files of vectors are of rat.mp4: {tmp_path / 'ratDLC_one.csv'} and")
    assert own.startswith("the vectors of notes.mp4")  # the annotations themselves hold none
