"""Ready vectors that say colour, shape and number, pictures of coloured squares, and sentences about both."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.training.tiny_training import TINY
from torch import nn

from lrcn.data.captioning.examples import CaptionData, CaptionExample
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES, register_backbone
from lrcn.training.captioning.config import CaptioningTrainingConfig

TINY_FC = "tiny_fc_for_captioning_tests"


def fc_network() -> nn.Sequential:
    """An fc7 of 5 units after its ReLU, and an fc8 of 6 on it; no other."""
    return nn.Sequential(nn.Conv2d(3, 4, 8), nn.ReLU(), nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6))


if TINY_FC not in BACKBONES:
    layers = {"fc7": "4", "fc8": "5"}
    register_backbone(TINY_FC, BackboneSpec(build=fc_network, layers=layers, preprocess={"resize": 8, "crop": 8}))

COLOURS = ("red", "green", "blue", "yellow", "black")
SHAPES = ("square", "circle", "star", "cross")
NUMBERS = ("one", "two", "three")
FACTS = tuple(itertools.product(NUMBERS, COLOURS, SHAPES))
CHANCE = 1 / len(FACTS)
"""Of guessing all three facts of an example."""

SMALL: dict[str, Any] = {
    "backbone": TINY,
    "backbone_weights": "none",
    "grid": 3,
    "embedding_size": 12,
    "hidden_size": 24,
    "projection_size": 0,
    "feature_dropout": 0.0,
    "embedding_dropout": 0.0,
    "output_dropout": 0.0,
    "min_count": 1,
    "batch_size": 16,
    "epochs": 3,
    "epoch_steps": 1,
    "feature_norm": False,
    "lr": 0.02,
}


def caption_config(**changes: Any) -> CaptioningTrainingConfig:
    """Return settings under which a run takes a second or two."""
    return CaptioningTrainingConfig(**{**SMALL, **changes})


def sentences(number: str, colour: str, shape: str) -> tuple[str, ...]:
    return (f"There is {number} {colour} {shape}.", f"I see {number} {colour} {shape} here!")


def vector_of(facts: tuple[str, str, str]) -> np.ndarray:
    """One-hot of each fact, side by side: `(12,)`."""
    words = [*NUMBERS, *COLOURS, *SHAPES]
    return np.isin(words, facts).astype(np.float32)


def sequence_of(facts: tuple[str, str, str]) -> np.ndarray:
    """The same as a sequence of one-hot vectors, `(3, 12)`: one step a fact."""
    return np.diag(vector_of(facts))[vector_of(facts) > 0]


def vector_data() -> CaptionData:
    """Every combination of facts once; a fifth of them held out."""
    examples = []
    for i, facts in enumerate(FACTS):
        name = "-".join(facts)
        split = "val" if i % 5 == i // 20 else "train"
        examples.append(CaptionExample(Path(name), sentences(*facts), split, key=name))
    return CaptionData(tuple(examples), "facts")


def write_vectors(path: Path, *, sequences: bool = False) -> Path:
    """Write the vectors of `vector_data` as CSV."""
    lines = [",".join(["id", *(f"v{i}" for i in range(12))])]
    for facts in FACTS:
        rows = sequence_of(facts) if sequences else vector_of(facts)[None]
        lines += [",".join(["-".join(facts), *(f"{value:g}" for value in row)]) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def picture_data(folder: Path, *, num_train: int = 4, num_val: int = 2) -> CaptionData:
    """Write squares of four colours at one of two places on noise, and say what and where they are."""
    colours = {"red": (250, 20, 20), "green": (20, 250, 20), "blue": (20, 20, 250), "white": (250, 250, 250)}
    examples = []
    for split, count in (("train", num_train), ("val", num_val)):
        for (colour, rgb), place, i in itertools.product(colours.items(), ("top", "bottom"), range(count)):
            rng = np.random.default_rng([len(examples), 7])
            pixels = rng.integers(0, 80, (36, 48, 3)).astype(np.uint8)
            row, column = (2 if place == "top" else 20), int(rng.integers(4, 30))
            pixels[row : row + 14, column : column + 14] = rgb
            path = folder / f"{split}_{colour}_{place}_{i}.png"
            Image.fromarray(pixels).save(path)
            captions = (f"A {colour} square at the {place}.", f"At the {place} is a {colour} square.")
            examples.append(CaptionExample(path, captions, split, key=path.name))
    return CaptionData(tuple(examples), "squares")
