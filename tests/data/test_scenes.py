"""Composed scenes: what the sentences say, that splits do not leak, and how the sets are built."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lrcn.cli import main
from lrcn.errors import ConfigError, DataError, UnknownNameError
from lrcn.text.tokenise import tokenise
from lrcn_sets.packages import fetch_package, unpack_package
from lrcn_sets.scenes.building import build_scenes
from lrcn_sets.scenes.captions import (
    TEMPLATES,
    SceneFacts,
    plural,
    scene_captions,
    scene_facts,
    score_scene_captions,
    with_article,
)
from lrcn_sets.scenes.composing import SIZE_PX, compose, scene_spec
from lrcn_sets.scenes.emoji_names import EMOJI

NOUNS = sorted(EMOJI)


def test_english_of_nouns() -> None:
    assert [with_article(noun) for noun in ("owl", "unicorn", "cat", "european bear", "egg")] == [
        "an owl",
        "a unicorn",
        "a cat",
        "a european bear",
        "an egg",
    ]
    assert [plural(noun) for noun in ("cat", "fox", "church", "cherry", "monkey", "wine glass", "wolf", "sheep")] == [
        "cats",
        "foxes",
        "churches",
        "cherries",
        "monkeys",
        "wine glasses",
        "wolves",
        "sheep",
    ]


@given(
    kind=st.sampled_from(sorted(TEMPLATES)),
    pair=st.permutations(NOUNS).map(lambda n: tuple(n[:2])),
    which=st.integers(0, 4),
)
def test_every_sentence_says_what_the_scene_shows(kind: str, pair: tuple[str, str], which: int) -> None:
    facts = SceneFacts(kind, pair if kind in ("left", "above") else pair[:1])
    sentence = scene_captions(facts)[which]
    assert scene_facts(sentence, NOUNS) == facts
    assert scene_facts(" ".join(tokenise(sentence)), NOUNS) == facts


def test_other_sentences_say_nothing() -> None:
    for sentence in ("", "a dog", "a small", "a small dragonfly", "two dog", "a dog to the left of"):
        assert scene_facts(sentence, NOUNS) is None


def test_accuracy_tells_nouns_from_places() -> None:
    right = scene_captions(SceneFacts("left", ("dog", "cat")))
    said = [
        "a cat to the right of a dog",  # another wording
        "a cat to the left of a dog",  # swapped
        "a dog above a cat",
        "a dog to the left of a bus",
        "dog cat",
    ]
    accuracy = score_scene_captions(said, [right] * 5, NOUNS)
    assert (accuracy.exact, accuracy.nouns, accuracy.kind, accuracy.understood) == (0.2, 0.6, 0.6, 0.8)
    with pytest.raises(DataError, match="no sentence of the templates"):
        score_scene_captions(["a dog above a cat"], [["hello there"]], NOUNS)


def test_no_two_things_meet_in_two_splits() -> None:
    pairs = {
        split: {frozenset(nouns) for i in range(600) if len(nouns := scene_spec(split, i, NOUNS).facts.nouns) == 2}
        for split in ("train", "val", "test")
    }
    assert not pairs["train"] & pairs["test"]
    assert not pairs["train"] & pairs["val"]
    assert not pairs["val"] & pairs["test"]
    assert len(pairs["test"]) > 500  # hardly any repeats
    kinds = Counter(scene_spec("test", i, NOUNS).facts.kind for i in range(600))
    assert set(kinds) == {"left", "above"}
    with pytest.raises(UnknownNameError, match="unknown split"):
        scene_spec("tests", 0, NOUNS)
    with pytest.raises(DataError, match="too few"):
        scene_spec("val", 0, ["cat"])


def _parts() -> dict[str, list[Image.Image]]:
    """A red disc and a blue disc, whose places can be measured."""
    parts = {}
    for noun, colour in (("cherry", (255, 0, 0, 255)), ("berry", (0, 0, 255, 255))):
        picture = Image.new("RGBA", (100, 100))
        ImageDraw.Draw(picture).ellipse((0, 0, 99, 99), fill=colour)
        parts[noun] = [picture]
    return parts


def _mask(pixels: np.ndarray, channel: int) -> np.ndarray:
    other = np.delete(pixels.astype(int), channel, axis=2).max(axis=2)
    return pixels[..., channel].astype(int) - other > 200


@pytest.mark.parametrize("seed", range(8))
def test_pixels_show_what_the_facts_say(seed: int) -> None:
    parts = _parts()
    from lrcn_sets.scenes.composing import SceneSpec

    for kind, axis in (("left", 1), ("above", 0)):
        pixels = compose(SceneSpec(SceneFacts(kind, ("cherry", "berry")), seed), parts)
        assert pixels.shape == (SIZE_PX, SIZE_PX, 3)
        red, blue = (np.argwhere(_mask(pixels, channel)) for channel in (0, 2))
        assert min(len(red), len(blue)) > 3000  # both in full, neither hidden
        assert red[:, axis].max() < blue[:, axis].min() + 12
    small, large = (
        _mask(compose(SceneSpec(SceneFacts(kind, ("cherry",)), seed), parts), 0).sum() for kind in ("small", "large")
    )
    assert 4 * small < large


def _deb(path: Path, files: dict[str, bytes], compression: str = "xz") -> Path:
    """Write a Debian package as dpkg does: an ar archive with a tar archive in it."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    out = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n"), (f"data.tar.{compression}", inner.getvalue())):
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    path.write_bytes(out)
    return path


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
    package = _deb(tmp_path / "stamps.deb", _stamps())
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
    assert main(["data", "build", command, str(tmp_path / "set"), "--parts", str(parts)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "set").exists() or not list((tmp_path / "set").iterdir())


def test_a_package_packed_otherwise_names_the_remedy(tmp_path: Path) -> None:
    package = _deb(tmp_path / "new.deb", {"a.txt": b"a"})
    package.write_bytes(package.read_bytes().replace(b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd00", 1))
    with pytest.raises(DataError, match="dpkg-deb -x"):
        unpack_package(package, lambda path: True, tmp_path / "out")


def test_without_apt_the_error_says_what_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"fetch the Debian package fonts-noto-color-emoji .* --parts"):
        build_scenes("emoji-scenes", tmp_path / "set")


def test_numbers_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not all 0"):
        build_scenes("emoji-scenes", tmp_path, train_images=0, val_images=0, test_images=0)
    with pytest.raises(ConfigError, match="workers"):
        build_scenes("emoji-scenes", tmp_path, workers=0)


def test_every_emoji_has_a_picture_of_its_own(tmp_path: Path) -> None:
    try:
        package = fetch_package("fonts-noto-color-emoji", "")
    except DataError as exc:
        pytest.skip(f"the font cannot be fetched here: {exc}")
    build_scenes("emoji-scenes", tmp_path, parts=package, train_images=1, val_images=0, test_images=0, workers=1)
    pictures = [path.read_bytes() for path in (tmp_path / "parts").rglob("*.png")]
    assert len(pictures) == len(EMOJI) == len(set(pictures))
