"""`lrcn data build`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeInt, PositiveInt

from lrcn.cli.options import Quiet
from lrcn.cli.terminal import ProgressBar

app = App(name="build", help="Build a data set from what ships with lrcn or with Debian.")

Folder = Annotated[Path, Parameter(help="Where to build it; made if missing.")]
Parts = Annotated[
    Path | None,
    Parameter(help="Where the cut-out pictures come from. Left out, apt fetches the package (into the cache folder)."),
]
Workers = Annotated[int | None, Parameter(help="Processes to work in. Left out, one for each processor.")]


@app.command
def mocap_actions(
    folder: Folder,
    /,
    *,
    train_clips: NonNegativeInt = 320,
    val_clips: NonNegativeInt = 36,
    test_clips: NonNegativeInt = 32,
    size_px: PositiveInt = 128,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Render MocapActions-14: short videos of 14 actions from real motion recordings, split by camera direction.

    Needs no download. Two pairs of classes differ only in the order of their frames. An interrupted build goes on
    where it stopped.

    Args:
        train_clips: Training clips for each class; walk and walk_backwards, the hardest to tell apart, have three times
            as many.
        val_clips: Validation clips for each class.
        test_clips: Test clips for each class.
        size_px: Side of the square frames.
    """
    from lrcn_sets.mocap.actions import build_mocap_actions

    with ProgressBar(1, quiet=quiet) as bar:
        annotations = build_mocap_actions(
            folder,
            train_clips=train_clips,
            val_clips=val_clips,
            test_clips=test_clips,
            size_px=size_px,
            workers=workers,
            on_progress=_showing(bar, "rendering", "clips"),
        )
    print(annotations)


@app.command
def mocap_captions(
    folder: Folder,
    /,
    *,
    train_clips: NonNegativeInt = 96,
    val_clips: NonNegativeInt = 10,
    test_clips: NonNegativeInt = 24,
    size_px: PositiveInt = 128,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Render videos with sentences: "a person in a red shirt and blue trousers does a cartwheel".

    Needs no download. No action is in a shirt of the same colour in two splits, nor seen from the same direction. An
    interrupted build goes on where it stopped.

    Args:
        train_clips: Training clips for each of the 14 actions.
        val_clips: Validation clips for each action.
        test_clips: Test clips for each action.
        size_px: Side of the square frames.
    """
    from lrcn_sets.mocap.captions import build_mocap_captions

    with ProgressBar(1, quiet=quiet) as bar:
        captions = build_mocap_captions(
            folder,
            train_clips=train_clips,
            val_clips=val_clips,
            test_clips=test_clips,
            size_px=size_px,
            workers=workers,
            on_progress=_showing(bar, "rendering", "clips"),
        )
    print(captions)


@app.command
def emoji_scenes(
    folder: Folder,
    /,
    *,
    parts: Parts = None,
    train_images: NonNegativeInt = 4000,
    val_images: NonNegativeInt = 300,
    test_images: NonNegativeInt = 500,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Compose pictures with sentences of emoji: "a dog to the left of a rocket".

    The emoji are Google's Noto, from the Debian package fonts-noto-color-emoji (10 MB), under the Open Font License.
    `--parts` takes that package, the font NotoColorEmoji.ttf, or a folder with the font below it. No two things that
    meet in a test picture meet in a training picture. An interrupted build goes on where it stopped.

    Args:
        train_images: Training pictures; a quarter of them show one thing, or two of a kind.
        val_images: Validation pictures, each of two different things.
        test_images: Test pictures, each of two different things.
    """
    _build_scenes("emoji-scenes", folder, parts, train_images, val_images, test_images, workers, quiet=quiet)


@app.command
def stamp_scenes(
    folder: Folder,
    /,
    *,
    parts: Parts = None,
    train_images: NonNegativeInt = 4000,
    val_images: NonNegativeInt = 300,
    test_images: NonNegativeInt = 500,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Compose pictures with sentences of cut-out photographs: the stamps of Tux Paint.

    The stamps are in the Debian package tuxpaint-stamps-default (161 MB) and under the GPL: fetched by your machine, no
    part of lrcn. `--parts` takes that package or a folder with the stamps below it. Otherwise as emoji-scenes.

    Args:
        train_images: Training pictures; a quarter of them show one thing, or two of a kind.
        val_images: Validation pictures, each of two different things.
        test_images: Test pictures, each of two different things.
    """
    _build_scenes("stamp-scenes", folder, parts, train_images, val_images, test_images, workers, quiet=quiet)


def _build_scenes(
    name: str,
    folder: Path,
    parts: Path | None,
    train_images: int,
    val_images: int,
    test_images: int,
    workers: int | None,
    *,
    quiet: bool,
) -> None:
    from lrcn_sets.scenes.building import build_scenes

    with ProgressBar(1, quiet=quiet) as bar:
        bar.update(0, "fetching and unpacking the pictures")
        captions = build_scenes(
            name,
            folder,
            parts=parts,
            train_images=train_images,
            val_images=val_images,
            test_images=test_images,
            workers=workers,
            on_progress=_showing(bar, "composing", "pictures"),
        )
    print(captions)


def _showing(bar: ProgressBar, doing: str, what: str) -> Callable[[int, int], None]:
    return lambda done, total: bar.update(done, f"{doing}: {done} of {total} {what}", total)
