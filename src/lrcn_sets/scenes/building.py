"""Sets of composed scenes with sentences: emoji-scenes and stamp-scenes."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from lrcn.errors import DataError, lookup
from lrcn.files import replacing
from lrcn_sets.building import build_missing, building_in, check_counts, write_annotations
from lrcn_sets.scenes.captions import scene_captions
from lrcn_sets.scenes.composing import Parts, compose, scene_spec
from lrcn_sets.scenes.parts import copy_in_one_step, load_parts, prepare_emoji, prepare_stamps

GENERATOR_VERSION = 1
"""Raised when the scenes of a given number change."""

JPEG_QUALITY = 90

PARTS: dict[str, Callable[[Path | None, Path, bool], str]] = {
    "emoji-scenes": prepare_emoji,
    "stamp-scenes": prepare_stamps,
}
"""Set -> what prepares its cut-out pictures."""


def build_scenes(
    name: str,
    output: Path,
    *,
    parts: Path | None = None,
    fetch: bool = False,
    train_images: int = 4000,
    val_images: int = 300,
    test_images: int = 500,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Compose a set of scenes in a folder and return the path of its `captions.csv`.

    Each picture is a JPEG of 224 px at `images/<split>/<number>.jpg`, with five sentences. The cut-out pictures are in
    `parts/<noun>/`. The captions (columns path, caption, split) are written last. An interrupted build goes on where it
    stopped, a finished one returns at once.

    Args:
        name: A key of `PARTS`.
        output: Folder to build in; created if missing.
        parts: Where the cut-out pictures come from; None for the package in the cache folder.
        fetch: Download the package into the cache folder with apt, if it is not there.
        train_images: Training scenes; a quarter of them show one thing, or two of a kind.
        val_images: Validation scenes, all of two different things that are not together in a training scene.
        test_images: Test scenes, likewise.
        workers: Processes; by default one a processor.
        on_progress: Called with the scenes done and the scenes in all, at the start and after each scene.

    Raises:
        ConfigError: If a number is out of range.
        DataError: If the parts cannot be had, or the folder cannot be written or holds something else.
    """
    prepare = lookup(PARTS, name, kind="set of scenes")
    counts = {"train": train_images, "val": val_images, "test": test_images}
    check_counts(counts, "images of each split", workers)
    if parts is not None and not parts.exists():
        raise DataError(f"{parts}: no such file or folder; --parts takes what holds the pictures to compose scenes of")
    with building_in(output, {"generator": name, "version": GENERATOR_VERSION}, "set of scenes"):
        folder = output / "parts"
        if not folder.exists():
            with tempfile.TemporaryDirectory(prefix="lrcn-") as place:
                digest = prepare(parts, Path(place), fetch)
                (Path(place) / "sha256.txt").write_text(f"{digest}\n")
                copy_in_one_step(Path(place), folder)
        nouns = nouns_of(output)
        scenes = [(split, index) for split, count in counts.items() for index in range(count)]
        build_missing(
            _compose_to_file,
            [(folder, *scene) for scene in scenes],
            [output / _image_path(*scene) for scene in scenes],
            workers=workers,
            on_progress=on_progress,
        )
        rows = [
            (_image_path(split, index).as_posix(), caption, split)
            for split, index in scenes
            for caption in scene_captions(scene_spec(split, index, nouns).facts)
        ]
        return write_annotations(output / "captions.csv", [("path", "caption", "split"), *rows])


def nouns_of(output: Path) -> list[str]:
    """Return all nouns that the scenes of a built set may hold.

    Raises:
        DataError: If its parts are not there.
    """
    try:
        return sorted(entry.name for entry in (output / "parts").iterdir() if entry.is_dir())
    except OSError as exc:
        raise DataError(f"{output / 'parts'}: cannot be read: {exc.strerror}; build the set again") from exc


def _image_path(split: str, index: int) -> Path:
    return Path("images", split, f"{index:05d}.jpg")


@functools.lru_cache(maxsize=1)  # once a process
def _loaded(folder: Path) -> Parts:
    return load_parts(folder)


def _compose_to_file(path: Path, folder: Path, split: str, index: int) -> None:
    parts = _loaded(folder)
    pixels = compose(scene_spec(split, index, list(parts)), parts)
    with replacing(path) as unfinished:
        Image.fromarray(pixels).save(unfinished, format="JPEG", quality=JPEG_QUALITY)
