"""The cut-out pictures that scenes are composed of: emoji from a font, or the stamps of Tux Paint."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from lrcn.errors import DataError
from lrcn_sets.packages import file_digest, package_file, unpack_package
from lrcn_sets.scenes.emoji_names import EMOJI

EMOJI_PACKAGE = "fonts-noto-color-emoji"
EMOJI_FONT = "NotoColorEmoji.ttf"
STAMPS_PACKAGE = "tuxpaint-stamps-default"
STAMP_TOPICS = ("animals", "clothes", "food", "hobbies", "household", "plants", "sports", "vehicles")

_FONT_PX = 109  # the size of the bitmaps in the font
_STAMP_MIN_PX = 100
_STAMP_MAX_ASPECT = 2.6
_STAMP_NAME = re.compile(r"an? ([a-z]+(?: [a-z]+)?)\.?", re.IGNORECASE)


def prepare_emoji(parts: Path | None, folder: Path, fetch: bool) -> str:
    """Write a picture of every emoji into a folder, `<noun>/0.png`; return the sha256 of the font.

    Args:
        parts: The font `NotoColorEmoji.ttf`, the Debian package that holds it, or a folder with the font below it;
            None for the package in the cache folder.
        folder: Filled when this returns, empty or absent before.
        fetch: Download the package if it is not there.

    Raises:
        DataError: If the parts cannot be had, or are something else.
    """
    with tempfile.TemporaryDirectory(prefix="lrcn-") as place:
        source = parts or package_file(EMOJI_PACKAGE, fetch=fetch)
        if source.suffix == ".deb":
            unpack_package(source, lambda path: path.endswith(".ttf"), Path(place))
            source = Path(place)
        font_path = next(iter(sorted(source.rglob(EMOJI_FONT))), source) if source.is_dir() else source
        try:
            font = ImageFont.truetype(str(font_path), _FONT_PX)
        except OSError as exc:
            raise DataError(f"{parts or source}: no {EMOJI_FONT} here; give the font or a package with it") from exc
        for noun, character in EMOJI.items():
            _save_part(_emoji(font, character, font_path), folder / noun / "0.png")
        return file_digest([font_path])


def prepare_stamps(parts: Path | None, folder: Path, fetch: bool) -> str:
    """Write the stamps with a name of one or two words into a folder, `<noun>/<number>.png`; return their sha256.

    Taken are pictures of 100 px or more, not too long, from eight topics, called "a" or "an" something. The stamps are
    under the GPL: they stay on the user's machine.

    Args:
        parts: The Debian package, or a folder with the stamps below it; None for the package in the cache folder.
        folder: As for `prepare_emoji`.
        fetch: Likewise.

    Raises:
        DataError: If the parts cannot be had, or are something else.
    """
    with tempfile.TemporaryDirectory(prefix="lrcn-") as place:
        source = parts or package_file(STAMPS_PACKAGE, fetch=fetch)
        if source.is_file():
            unpack_package(source, lambda path: path.endswith((".png", ".txt")), Path(place))
            source = Path(place)
        found = _stamps_below(source)
        if len(found) < 2:
            raise DataError(f"{parts or source}: no stamps below it; give the folder that holds {STAMP_TOPICS[0]}/")
        for noun, paths in found.items():
            for number, path in enumerate(paths):
                with Image.open(path) as picture:
                    _save_part(picture.convert("RGBA"), folder / noun / f"{number}.png")
        return file_digest([path for paths in found.values() for path in paths])


def load_parts(folder: Path) -> dict[str, list[Image.Image]]:
    """Return noun -> pictures of a folder that was prepared, in alphabetical order."""
    parts = {}
    for noun in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        parts[noun.name] = [Image.open(path).convert("RGBA") for path in sorted(noun.glob("*.png"))]
    return parts


def copy_in_one_step(source: Path, target: Path) -> None:
    """Move a filled folder to its place, which then holds all of it or does not exist."""
    unfinished = target.with_name(f".{target.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished)
    unfinished.replace(target)


def _emoji(font: ImageFont.FreeTypeFont, character: str, path: Path) -> Image.Image:
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((10, 10), character, font=font, embedded_color=True)
    if canvas.getbbox() is None:
        raise DataError(f"{path}: has no picture of {character}; is it {EMOJI_FONT}?")
    return canvas


def _save_part(picture: Image.Image, path: Path) -> None:
    box = picture.getchannel("A").getbbox()
    if box is None:
        raise DataError(f"{path.parent.name}: its picture is empty")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.crop(box).save(path)


def _stamps_below(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    roots = [folder / "usr/share/tuxpaint/stamps", folder / "stamps", folder]
    root = next((root for root in roots if (root / STAMP_TOPICS[0]).is_dir()), folder)
    for topic in STAMP_TOPICS:
        for path in sorted((root / topic).rglob("*.png")):
            text = path.with_suffix(".txt")
            first_line = text.read_text(encoding="utf-8").partition("\n")[0].strip() if text.exists() else ""
            if name := _STAMP_NAME.fullmatch(first_line):
                with Image.open(path) as picture:
                    short, long = sorted(picture.size)
                if short >= _STAMP_MIN_PX and long <= _STAMP_MAX_ASPECT * short:
                    found[name[1].lower()].append(path)
    return found
