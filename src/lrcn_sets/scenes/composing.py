"""Scenes composed of cut-out pictures: what a numbered scene shows, and its pixels.

A scene is a function of its split and number and of the list of nouns. Scenes of a pair of things go to a split by the
pair, whatever the order and the places: no two things that meet in a test picture meet in a training picture.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from lrcn.errors import DataError, lookup
from lrcn_sets.scenes.captions import SceneFacts

SIZE_PX = 224
PAIR_KINDS = ("left", "above")
LONE_KINDS = ("small", "large", "two")
LONE_SHARE = 0.25
"""Of the training scenes; validation and test scenes are pairs, whose nouns training knows, but not together."""

SPLIT_TENTHS = {"train": range(7), "val": range(7, 8), "test": range(8, 10)}
"""Tenths of all pairs that each split has."""

MARGIN_PX = 6

Pixels = npt.NDArray[np.uint8]
Parts = Mapping[str, Sequence[Image.Image]]
"""Noun -> its cut-out pictures, RGBA, cropped to what is not transparent."""


@dataclass(frozen=True)
class SceneSpec:
    """What one scene shows; sizes, places, colours and grain are drawn from `seed`."""

    facts: SceneFacts
    seed: int


def scene_spec(split: str, index: int, nouns: Sequence[str]) -> SceneSpec:
    """Return what scene number `index` of a split shows.

    Args:
        split: `train`, `val` or `test`.
        index: From 0.
        nouns: All nouns that scenes may hold, in a fixed order.

    Raises:
        UnknownNameError: If the split does not exist.
        DataError: If the nouns are too few for it.
    """
    pairs = _pairs(split, tuple(nouns))
    rng = np.random.default_rng(_number(f"scene/{split}/{index}"))
    if split == "train" and rng.random() < LONE_SHARE:
        kind = LONE_KINDS[int(rng.integers(len(LONE_KINDS)))]
        facts = SceneFacts(kind, (nouns[int(rng.integers(len(nouns)))],))
    else:
        kind = PAIR_KINDS[int(rng.integers(len(PAIR_KINDS)))]
        first, second = pairs[int(rng.integers(len(pairs)))]
        facts = SceneFacts(kind, (first, second) if rng.random() < 0.5 else (second, first))
    return SceneSpec(facts, int(rng.integers(2**63)))


@functools.lru_cache(maxsize=8)
def _pairs(split: str, nouns: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """All pairs of nouns that belong to a split."""
    tenths = lookup(SPLIT_TENTHS, split, kind="split")
    found = tuple(pair for pair in itertools.combinations(nouns, 2) if _pair_tenth(*pair) in tenths)
    if not found:
        raise DataError(f"scenes: {len(nouns)} things are too few for pairs that only {split!r} has; take more parts")
    return found


def _pair_tenth(first: str, second: str) -> int:
    """Which tenth of all pairs these two belong to, 0 to 9, whatever their order and the other nouns."""
    return _number("pair/" + "/".join(sorted((first, second)))) % 10


def compose(spec: SceneSpec, parts: Parts) -> Pixels:
    """Draw a scene, RGB `(224, 224, 3)` uint8."""
    rng = np.random.default_rng(spec.seed)
    canvas = Image.fromarray(_background(rng)).convert("RGBA")
    nouns = spec.facts.nouns
    pictures = [parts[noun][int(rng.integers(len(parts[noun])))] for noun in nouns]
    if spec.facts.kind in ("small", "large"):
        side = rng.uniform(48, 66) if spec.facts.kind == "small" else rng.uniform(140, 190)
        room = SIZE_PX - side - 2 * MARGIN_PX
        centers = [(0.5 * SIZE_PX + room * rng.uniform(-0.5, 0.5), 0.5 * SIZE_PX + room * rng.uniform(-0.5, 0.5))]
        sides = [side]
    else:
        if spec.facts.kind == "two":
            pictures *= 2
        sides = list(rng.uniform(78, 102, size=2))
        along = (rng.uniform(0.24, 0.28), rng.uniform(0.72, 0.76))
        across = 0.5 + rng.uniform(-0.2, 0.2) + rng.uniform(-0.08, 0.08, size=2)
        centers = [(SIZE_PX * a, SIZE_PX * b) for a, b in zip(along, across, strict=True)]
        if spec.facts.kind == "above":
            centers = [(x, y) for y, x in centers]
    for picture, side, center in zip(pictures, sides, centers, strict=True):
        _paste(canvas, picture, float(side), center, rng)
    return np.asarray(canvas.convert("RGB"))


def _background(rng: np.random.Generator) -> Pixels:
    """Two tones that pass into each other along some direction, with grain."""
    tones = rng.uniform(90, 250, size=(2, 3))
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(4, 80)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] - SIZE_PX / 2
    share = 1 / (1 + np.exp(-(x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-60, 60)) / softness))
    pixels = tones[0] + share[..., None] * (tones[1] - tones[0]) + rng.normal(0, rng.uniform(2, 9), (*share.shape, 1))
    rounded: Pixels = pixels.clip(0, 255).astype(np.uint8)
    return rounded


def _paste(
    canvas: Image.Image, picture: Image.Image, side: float, center: tuple[float, float], rng: np.random.Generator
) -> None:
    """Put a picture, its longer side `side` px, around a place, a little turned and at times mirrored."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    drawn = picture.resize(size, Image.Resampling.LANCZOS)
    if rng.random() < 0.5:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    drawn = drawn.rotate(rng.uniform(-12, 12), Image.Resampling.BICUBIC, expand=True)
    drawn = ImageEnhance.Brightness(drawn).enhance(rng.uniform(0.85, 1.15))
    left, top = (
        int(np.clip(round(place - length / 2), 0, max(0, SIZE_PX - length)))
        for place, length in zip(center, drawn.size, strict=True)
    )
    canvas.alpha_composite(drawn, (left, top))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
