"""How the sets of scenes are built, from packages and from folders."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from tests.lrcn_sets.debian import write_deb

from lrcn.errors import ConfigError, DataError
from lrcn_sets.cli import main
from lrcn_sets.packages import package_file, unpack_package
from lrcn_sets.scenes.building import build_scenes
from lrcn_sets.scenes.captions import with_article
from lrcn_sets.scenes.emoji_names import EMOJI


def _stamps() -> dict[str, bytes]:
    files = {}
    for i, noun in enumerate(("cat", "dog", "cow", "hen", "rat", "owl")):
        picture = Image.new("RGBA", (120, 110))
        ImageDraw.Draw(picture).rectangle((10, 10, 100, 90), fill=(40 * i, 255 - 40 * i, 128, 255))
        content = io.BytesIO()
        picture.save(content, format="PNG")
        root = "usr/share/tuxpaint/stamps/animals"
        files[f"{root}/{noun}.png"] = content.getvalue()
        files[f"{root}/{noun}.txt"] = f"{with_article(noun).capitalize()}.\nde.utf8=Etwas.\n".encode()
    files["usr/share/tuxpaint/stamps/animals/zoo.png"] = files["usr/share/tuxpaint/stamps/animals/cat.png"]
    files["usr/share/tuxpaint/stamps/animals/zoo.txt"] = b"All the animals of the zoo.\n"
    return files


def _contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_set_is_the_same_whoever_builds_it_and_after_an_interruption(tmp_path: Path) -> None:
    package = write_deb(tmp_path / "stamps.deb", _stamps())
    counts = {"train_images": 6, "val_images": 1, "test_images": 2}
    captions = build_scenes("stamp-scenes", tmp_path / "a", parts=package, **counts, workers=2)
    unpacked = tmp_path / "unpacked"
    unpack_package(package, lambda path: True, unpacked)
    assert len(list(unpacked.rglob("*.png"))) == 7
    build_scenes("stamp-scenes", tmp_path / "b", parts=unpacked / "usr/share/tuxpaint/stamps", **counts, workers=1)
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")
    assert not (tmp_path / "a" / "parts" / "zoo").exists()

    with captions.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 * 5
    assert all((tmp_path / "a" / row["path"]).is_file() for row in rows)

    (tmp_path / "b" / "images" / "train" / "00003.jpg").unlink()
    captions_b = tmp_path / "b" / "captions.csv"
    captions_b.unlink()
    calls: list[tuple[int, int]] = []
    build_scenes("stamp-scenes", tmp_path / "b", **counts, on_progress=lambda *call: calls.append(call))
    assert calls == [(8, 9), (9, 9)]
    assert _contents(tmp_path / "a") == _contents(tmp_path / "b")


@pytest.mark.parametrize(
    ("command", "content", "message"),
    [
        ("stamp-scenes", b"no package", "no Debian package"),
        ("stamp-scenes", b"!<arch>\n" + b" " * 60, "cut short or damaged"),
        ("emoji-scenes", b"no font", "no NotoColorEmoji.ttf here"),
        ("emoji-scenes", None, "no such file or folder"),
    ],
)
def test_wrong_parts_are_one_line_and_leave_nothing(
    command: str, content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = tmp_path / "parts.bin"
    if content is not None:
        parts.write_bytes(content)
    assert main([command, str(tmp_path / "set"), "--parts", str(parts)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "set").exists() or not list((tmp_path / "set").iterdir())


def test_numbers_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not all 0"):
        build_scenes("emoji-scenes", tmp_path, train_images=0, val_images=0, test_images=0)
    with pytest.raises(ConfigError, match="workers"):
        build_scenes("emoji-scenes", tmp_path, workers=0)


def test_every_emoji_has_a_picture_of_its_own(tmp_path: Path) -> None:
    try:
        package = package_file("fonts-noto-color-emoji", fetch=False)
    except DataError as exc:
        pytest.skip(f"the font is not in the cache: {exc}")
    build_scenes("emoji-scenes", tmp_path, parts=package, train_images=1, val_images=0, test_images=0, workers=1)
    pictures = [path.read_bytes() for path in (tmp_path / "parts").rglob("*.png")]
    assert len(pictures) == len(EMOJI) == len(set(pictures))
