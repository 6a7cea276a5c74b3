"""The command line of the example sets: `python -m lrcn_sets`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.types import NonNegativeInt, PositiveFloat, PositiveInt

from lrcn.cli import empty_app, run
from lrcn.cli.options import Json, Quiet
from lrcn.cli.terminal import ProgressBar, results_console, simple_table

Folder = Annotated[Path, Parameter(help="Where to build it; made if missing.")]
Parts = Annotated[
    Path | None,
    Parameter(help="Where the cut-out pictures come from. Left out, the package that `--fetch` has fetched before."),
]
Fetch = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Download the Debian package with `apt-get download`, once, into the cache folder; nothing is installed.",
    ),
]
Workers = Annotated[
    PositiveInt | None, Parameter(help="Processes to work in. Left out, one for each processor that may be used.")
]


def make_app() -> App:
    """Return the command line as cyclopts sees it."""
    app = empty_app("python -m lrcn_sets", "Build sets of videos and pictures to try lrcn on, the same everywhere.")
    for command in (mocap_actions, mocap_captions, behaviour, emoji_scenes, stamp_scenes, facts):
        app.command(command)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of `python -m lrcn_sets` and return its exit code."""
    return run(make_app(), argv)


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
    where it stopped. Prints the path of the annotations.

    Args:
        train_clips: Training clips for each class; walk and walk_backwards, the hardest to tell apart, have three times
            as many.
        val_clips: Validation clips for each class.
        test_clips: Test clips for each class.
        size_px: Side of the square frames, an even number from 32.
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
    interrupted build goes on where it stopped. Prints the path of the captions.

    Args:
        train_clips: Training clips for each of the 14 actions.
        val_clips: Validation clips for each action.
        test_clips: Test clips for each action.
        size_px: Side of the square frames, an even number from 32.
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


def behaviour(
    folder: Folder,
    /,
    *,
    recordings: PositiveInt = 6,
    minutes: PositiveFloat = 2.0,
    size_px: PositiveInt = 128,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Render long recordings of people who do one thing after another, with the bouts of what they do.

    Needs no download. Five behaviours, and standing about in between; every recording has a person, a place and a
    camera of its own. The bouts are written as annotations.csv and as a BORIS project, annotations.boris. The last
    third of the recordings is the test split. An interrupted build goes on where it stopped. Prints the path of the
    annotations.

    Args:
        recordings: How many recordings.
        minutes: Length of each, 0.5 to 60 minutes.
        size_px: Side of the square frames, an even number from 32.
    """
    from lrcn_sets.behaviour.building import build_behaviour

    with ProgressBar(1, quiet=quiet) as bar:
        annotations = build_behaviour(
            folder,
            recordings=recordings,
            minutes=minutes,
            size_px=size_px,
            workers=workers,
            on_progress=_showing(bar, "rendering", "recordings"),
        )
    print(annotations)


def emoji_scenes(
    folder: Folder,
    /,
    *,
    parts: Parts = None,
    fetch: Fetch = False,
    train_images: NonNegativeInt = 4000,
    val_images: NonNegativeInt = 300,
    test_images: NonNegativeInt = 500,
    workers: Workers = None,
    quiet: Quiet = False,
) -> None:
    """Compose pictures with sentences of emoji: "a dog to the left of a rocket".

    The emoji are Google's Noto, from the Debian package fonts-noto-color-emoji (10 MB), under the Open Font License.
    `--parts` takes that package, the font NotoColorEmoji.ttf, or a folder with the font below it. No two things that
    meet in a test picture meet in a training picture. An interrupted build goes on where it stopped. Prints the path
    of the captions.

    Args:
        train_images: Training pictures; a quarter of them show one thing, or two of a kind.
        val_images: Validation pictures, each of two different things.
        test_images: Test pictures, each of two different things.
    """
    _build_scenes("emoji-scenes", folder, parts, train_images, val_images, test_images, workers, fetch, quiet)


def stamp_scenes(
    folder: Folder,
    /,
    *,
    parts: Parts = None,
    fetch: Fetch = False,
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
    _build_scenes("stamp-scenes", folder, parts, train_images, val_images, test_images, workers, fetch, quiet)


def facts(
    data: Annotated[Path, Parameter(help="The folder that emoji-scenes, stamp-scenes or mocap-captions built.")],
    predictions: Annotated[
        Path, Parameter(help="The `predictions.csv` that `lrcn evaluate CAPTION_MODEL SET --output REPORT` wrote.")
    ],
    /,
    *,
    json_output: Json = False,
) -> None:
    """Count the captions that state the facts, which scores of words do not tell.

    Prints the shares of captions that name the right things, that put them where they are, that have the right action,
    shirt and trousers; `exact` have all of it. Beside them stand the shares of the nearest neighbour's captions, where
    the evaluation had that baseline.
    """
    from lrcn_sets.facts import score_predictions

    shares = score_predictions(data, predictions)
    if json_output:
        print(json.dumps(shares))
        return
    rows = [(name, *(f"{column[name]:.1%}" for column in shares.values())) for name in shares["model"]]
    results_console().print(simple_table(("captions that state the right", *shares), rows))


def _build_scenes(
    name: str,
    folder: Path,
    parts: Path | None,
    train_images: int,
    val_images: int,
    test_images: int,
    workers: int | None,
    fetch: bool,
    quiet: bool,
) -> None:
    from lrcn_sets.scenes.building import build_scenes

    with ProgressBar(1, quiet=quiet) as bar:
        bar.update(0, "fetching the pictures" if fetch else "unpacking the pictures")
        captions = build_scenes(
            name,
            folder,
            parts=parts,
            fetch=fetch,
            train_images=train_images,
            val_images=val_images,
            test_images=test_images,
            workers=workers,
            on_progress=_showing(bar, "composing", "pictures"),
        )
    print(captions)


def _showing(bar: ProgressBar, doing: str, what: str) -> Callable[[int, int], None]:
    return lambda done, total: bar.update(done, f"{doing}: {done} of {total} {what}", total)
