"""What the sources on a command line stand for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lrcn.errors import MediaError
from lrcn.video.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, expand_sources


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two class folders, an image sequence, a mixed folder, an animation, clutter; the current folder is its parent."""
    for name in (
        "set/walk/clip10.mp4",
        "set/walk/clip2.MP4",
        "set/walk/notes.txt",
        "set/walk/.hidden.mp4",
        "set/run/a.mkv",
        "set/shots/frame10.png",
        "set/shots/frame9.png",
        "set/shots/.DS_Store",
        "set/mixed/poster.jpg",
        "set/mixed/b.webm",
        "set/.git/c.mp4",
        "odd.dat",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    images = [Image.fromarray(np.full((4, 4, 3), grey, np.uint8)) for grey in (0, 90)]
    images[0].save(tmp_path / "set/mixed/moves.webp", save_all=True, append_images=images[1:])
    images[0].save(tmp_path / "set/mixed/still.webp")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _names(*sources: str | Path) -> list[str]:
    return [path.as_posix() for path in expand_sources(sources)]


def test_a_folder_gives_videos_and_image_sequences_below_it_in_natural_order(tree: Path) -> None:
    assert _names("set") == [
        "set/mixed/b.webm",
        "set/mixed/moves.webp",
        "set/run/a.mkv",
        "set/shots",
        "set/walk/clip2.MP4",
        "set/walk/clip10.mp4",
    ]


def test_a_folder_of_images_stands_for_itself(tree: Path) -> None:
    assert _names("set/shots") == ["set/shots"]


def test_a_file_stands_for_itself_whatever_its_suffix(tree: Path) -> None:
    assert _names("odd.dat", "set/walk/notes.txt", Path("set/mixed/poster.jpg")) == [
        "odd.dat",
        "set/walk/notes.txt",
        "set/mixed/poster.jpg",
    ]


def test_globs(tree: Path) -> None:
    assert _names("set/walk/*.mp4") == ["set/walk/clip10.mp4"]
    assert _names("set/**/*.m*") == ["set/run/a.mkv", "set/walk/clip10.mp4"]
    assert _names("set/[rs]*") == ["set/run/a.mkv", "set/shots"]


def test_a_name_with_brackets_is_a_name_first(tree: Path) -> None:
    (tree / "clip[1].mp4").write_bytes(b"x")
    assert _names("clip[1].mp4") == ["clip[1].mp4"]


def test_each_source_comes_once_in_the_order_given(tree: Path) -> None:
    assert _names("set/walk", "set/walk/clip2.MP4", "set/run") == [
        "set/walk/clip2.MP4",
        "set/walk/clip10.mp4",
        "set/run/a.mkv",
    ]


def test_links_are_followed_but_not_in_circles(tree: Path) -> None:
    os.symlink(tree / "set", tree / "set" / "run" / "back")
    os.symlink(tree / "set" / "walk", tree / "linked")
    assert len(_names("set")) == 6
    assert _names("linked") == ["linked/clip2.MP4", "linked/clip10.mp4"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("gone.mp4", "no such file or folder"),
        ("set/walk/*.avi", "nothing matches this pattern"),
        ("set/.git/empty", "no such file"),
        ("http://example.com/a.mp4", "addresses are not opened"),
        ("rtsp://10.0.0.1/cam", "addresses are not opened"),
    ],
)
def test_what_names_nothing_is_refused(tree: Path, source: str, reason: str) -> None:
    with pytest.raises(MediaError) as refusal:
        expand_sources(["set/run", source])
    assert str(refusal.value).startswith(f"{source}: ")
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_without_videos_is_refused(tree: Path) -> None:
    (tree / "papers").mkdir()
    (tree / "papers" / "a.pdf").write_bytes(b"x")
    with pytest.raises(MediaError, match=r"papers: no video and no folder of images"):
        expand_sources(["papers"])


def test_suffixes_are_lower_case_and_disjoint() -> None:
    assert not VIDEO_SUFFIXES & IMAGE_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES)
    assert {".mp4", ".avi", ".mkv", ".webm", ".mov", ".gif"} <= VIDEO_SUFFIXES
