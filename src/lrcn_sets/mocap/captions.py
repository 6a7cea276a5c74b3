"""Videos with sentences, without a download: the clips of MocapActions-14 in clothes of named colours.

"a person in a red shirt and blue trousers does a cartwheel". The splits share no camera sector, no person and no place,
and no action in a shirt of the same colour: test clips show known actions and known colours in new combinations, seen
from new directions. As in the action set there is one recording an action, two for some.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrcn.errors import DataError, lookup
from lrcn.files import replacing
from lrcn.text.tokenise import tokenise
from lrcn_sets.building import build_missing, building_in, check_counts, write_annotations
from lrcn_sets.mocap.actions import check_size, write_clip
from lrcn_sets.mocap.body import Clothes, Color
from lrcn_sets.mocap.clips import ACTIONS, ClipSpec, clip_spec, render
from lrcn_sets.scenes.captions import with_article

GENERATOR_VERSION = 2
"""Raised when the clips of a given number change."""

SHIRTS: dict[str, Color] = {
    "black": (24, 24, 26),
    "blue": (30, 70, 200),
    "green": (30, 140, 50),
    "orange": (240, 130, 20),
    "purple": (125, 45, 165),
    "red": (205, 25, 30),
    "white": (240, 240, 236),
    "yellow": (245, 215, 40),
}
TROUSERS: dict[str, Color] = {name: SHIRTS[name] for name in ("black", "blue", "green", "red", "white")}

SPLIT_EIGHTHS = {"train": range(6), "val": range(6, 7), "test": range(7, 8)}
"""Of the eight shirts, an action has six in training, one in validation and one in the test; which ones differs."""

PHRASES = {
    "backflip": "does a backflip",
    "cartwheel": "does a cartwheel",
    "crawl": "crawls over the floor",
    "dance": "dances",
    "get_up": "gets up from the floor",
    "jump": "jumps",
    "kick": "kicks",
    "lie_down": "lies down on the floor",
    "punch": "throws a punch",
    "roll": "rolls over the floor",
    "run": "runs",
    "spin": "spins around",
    "walk": "walks",
    "walk_backwards": "walks backwards",
}
TEMPLATES = (
    "a person in {shirt} shirt and {trousers} trousers {action}",
    "somebody wearing {shirt} shirt and {trousers} trousers {action}",
    "a person {action} in {shirt} shirt and {trousers} trousers",
    "there is a person in {shirt} shirt and {trousers} trousers who {action}",
    "in {shirt} shirt and {trousers} trousers a person {action}",
)


@dataclass(frozen=True)
class ClipFacts:
    """What the sentences of a clip say."""

    action: str
    shirt: str
    trousers: str


@dataclass(frozen=True)
class ClipAccuracy:
    """Shares of captions, each in 0-1."""

    exact: float
    """Name the right action and both colours."""
    action: float
    shirt: float
    trousers: float


def clip_facts(split: str, label: str, index: int) -> ClipFacts:
    """Return what clip number `index` of an action shows.

    Raises:
        UnknownNameError: If the split or the action does not exist.
    """
    eighths, place = lookup(SPLIT_EIGHTHS, split, kind="split"), list(ACTIONS).index(label)
    shirts = [shirt for i, shirt in enumerate(SHIRTS) if (i + 3 * place) % len(SHIRTS) in eighths]
    seed = hashlib.sha256(f"mocap-captions/{split}/{label}/{index}".encode()).digest()[:8]
    rng = np.random.default_rng(int.from_bytes(seed, "big"))
    shirt = shirts[rng.integers(len(shirts))]
    others = [name for name in TROUSERS if name != shirt]
    return ClipFacts(label, shirt, others[rng.integers(len(others))])


def captioned_clip(split: str, label: str, index: int) -> ClipSpec:
    """Return clip number `index` of an action, dressed as its sentences say."""
    facts = clip_facts(split, label, index)
    clothes = Clothes(SHIRTS[facts.shirt], TROUSERS[facts.trousers])
    return clip_spec(split, label, index, series="captions/", clothes=clothes)


def clip_captions(facts: ClipFacts) -> tuple[str, ...]:
    """Return all sentences that say what the clip shows."""
    words = {
        "shirt": with_article(facts.shirt),
        "trousers": facts.trousers,
        "action": PHRASES[facts.action],
    }
    return tuple(template.format_map(words) for template in TEMPLATES)


def read_clip_caption(caption: str) -> ClipFacts | None:
    """Return what a sentence of the templates says; None if it is none of them."""
    text = " ".join(tokenise(caption))
    actions = {phrase: action for action, phrase in PHRASES.items()}
    shirts = {with_article(shirt): shirt for shirt in SHIRTS}
    groups = {
        name: f"(?P<{name}>{'|'.join(sorted(choices, key=len, reverse=True))})"
        for name, choices in (("shirt", shirts), ("trousers", TROUSERS), ("action", actions))
    }
    for template in TEMPLATES:
        if match := re.fullmatch(template.format_map(groups), text):
            return ClipFacts(actions[match["action"]], shirts[match["shirt"]], match["trousers"])
    return None


def score_clip_captions(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> ClipAccuracy:
    """Compare what captions say with what their references say.

    Args:
        candidates: One caption for each clip.
        references: The sentences of each clip; the first decides.

    Raises:
        DataError: If the lists do not match, or a reference is no sentence of the templates.
    """
    if len(candidates) != len(references) or not candidates:
        raise DataError(f"clip captions: {len(candidates)} captions and references for {len(references)} clips")
    pairs = []
    for candidate, sentences in zip(candidates, references, strict=True):
        right = read_clip_caption(sentences[0])
        if right is None:
            raise DataError(f"clip captions: {sentences[0]!r} is no sentence of the templates")
        pairs.append((read_clip_caption(candidate), right))

    def share(name: str) -> float:
        hits: list[bool] = [said is not None and getattr(said, name) == getattr(right, name) for said, right in pairs]
        return sum(hits) / len(hits)

    exact = [said == right for said, right in pairs]
    return ClipAccuracy(sum(exact) / len(exact), share("action"), share("shirt"), share("trousers"))


def build_mocap_captions(
    output: Path,
    *,
    train_clips: int = 96,
    val_clips: int = 10,
    test_clips: int = 24,
    size_px: int = 128,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the set into a folder and return the path of its `captions.csv`.

    Each clip is 2.4 s at 10 frames a second, H.264, at `videos/<split>/<action>/<number>.mp4`, with five sentences. The
    captions (columns path, caption, split) are written last. An interrupted build goes on where it stopped, a finished
    one returns at once.

    Args:
        output: Folder to build in; created if missing.
        train_clips: Training clips an action.
        val_clips: Validation clips an action.
        test_clips: Test clips an action.
        size_px: Side of the square frames, even.
        workers: Processes to render in; by default one a processor.
        on_progress: Called with the clips done and the clips in all, at the start and after each clip.

    Raises:
        ConfigError: If a number is out of range.
        DataError: If the folder cannot be written or holds something else.
    """
    counts = {"train": train_clips, "val": val_clips, "test": test_clips}
    check_counts(counts, "clips per action", workers)
    check_size(size_px)
    clips = [(split, label, index) for split, count in counts.items() for index in range(count) for label in ACTIONS]
    mark = {"generator": "mocap-captions", "version": GENERATOR_VERSION, "size_px": size_px}
    with building_in(output, mark, "set of clips"):
        build_missing(
            _render_to_file,
            [(*clip, size_px) for clip in clips],
            [output / _video_path(*clip) for clip in clips],
            workers=workers,
            on_progress=on_progress,
        )
        rows = [
            (_video_path(*clip).as_posix(), caption, clip[0])
            for clip in clips
            for caption in clip_captions(clip_facts(*clip))
        ]
        return write_annotations(output / "captions.csv", [("path", "caption", "split"), *rows])


def _video_path(split: str, label: str, index: int) -> Path:
    return Path("videos", split, label, f"{index}.mp4")


def _render_to_file(path: Path, split: str, label: str, index: int, size_px: int) -> None:
    frames = render(captioned_clip(split, label, index), size_px)
    with replacing(path) as unfinished:
        write_clip(unfinished, frames)
