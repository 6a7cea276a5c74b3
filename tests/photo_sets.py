"""A small set of pictures with sentences, such as a user might have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lrcn_sets.scenes.captions import SceneFacts, scene_captions
from lrcn_sets.scenes.composing import SceneSpec, compose


def write_photos(folder: Path, *, num_train: int = 14, num_test: int = 3) -> Path:
    """Write pictures of two of a dog, a beach and a boat (discs of a colour each) and `captions.csv`."""
    parts = {}
    for noun, colour in (("dog", "brown"), ("beach", "yellow"), ("boat", "blue")):
        picture = Image.new("RGBA", (80, 80))
        ImageDraw.Draw(picture).ellipse((0, 0, 79, 79), fill=colour)
        parts[noun] = [picture]
    folder.mkdir(parents=True)
    rows = ["path,caption,split"]
    for i in range(num_train + num_test):
        nouns = tuple(np.random.default_rng(i).permutation(sorted(parts))[:2].tolist())
        facts = SceneFacts(("left", "above")[i % 2], nouns)
        Image.fromarray(compose(SceneSpec(facts, i), parts)).save(folder / f"{i}.jpg")
        split = "train" if i < num_train else "test"
        rows += [f"{i}.jpg,{text},{split}" for text in scene_captions(facts)]
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    return folder
