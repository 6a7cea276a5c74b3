"""Composed scenes: that splits do not leak, and that the picture shows what the sentences say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lrcn.errors import DataError, UnknownNameError
from lrcn_sets.scenes.captions import SceneFacts
from lrcn_sets.scenes.composing import SIZE_PX, SceneSpec, compose, scene_spec
from lrcn_sets.scenes.emoji_names import EMOJI

NOUNS = sorted(EMOJI)


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
