"""CONTRIBUTING's table: a backbone and a data format come from outside the package, with nothing in it touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip
from torch import Tensor, nn

from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample
from lrcn.data.recognition.readers import READERS, Reader, read_recognition_data, register_reader
from lrcn.errors import ConfigError
from lrcn.evaluation.recognition.report import evaluate
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES, register_backbone
from lrcn.training.fit import train
from lrcn.training.recognition.config import RecognitionTrainingConfig


class MeanColour(nn.Module):
    """A backbone of three numbers: the mean of each channel."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(2, 3))


def read_pairs(path: Path, options: ReadOptions) -> RecognitionData:
    """`video.avi -> label` a line, the split in the file name's first letter."""
    examples = []
    for line in (path / "pairs.toy").read_text().splitlines():
        name, label = line.split(" -> ")
        examples.append(RecognitionExample(path / name, label, {"t": "train", "v": "val", "e": "test"}[name[0]]))
    return RecognitionData(("blue", "red"), tuple(examples), "toy pairs")


@pytest.fixture
def toy_names() -> Iterator[None]:
    register_backbone("mean-colour", BackboneSpec(build=MeanColour, preprocess={"resize": 32, "crop": 32}))
    register_reader("toy-pairs", Reader(lambda path: (path / "pairs.toy").is_file(), read_pairs))
    yield
    del BACKBONES["mean-colour"], READERS["toy-pairs"]


@pytest.mark.usefixtures("toy_names")
def test_toy_backbone_and_toy_reader_train_and_evaluate(tmp_path: Path, make_clip: MakeClip) -> None:
    root = tmp_path / "toy"
    root.mkdir()
    lines = []
    for split, count in (("t", 6), ("v", 2), ("e", 4)):
        for number in range(count):
            label, channel = (("blue", 2), ("red", 0))[number % 2]
            frames = np.random.default_rng(number).integers(0, 60, (8, 32, 32, 3), dtype=np.uint8)
            frames[..., channel] += 150
            make_clip(root / f"{split}{number}.avi", frames)
            lines.append(f"{split}{number}.avi -> {label}")
    (root / "pairs.toy").write_text("\n".join(lines))

    data = read_recognition_data(root)
    assert data.name == "toy pairs"
    config = RecognitionTrainingConfig(
        backbone="mean-colour", backbone_weights="none", hidden_size=8, clip_length=4, clip_stride=2, epochs=30, lr=0.02
    )
    result = train(config, data, output=tmp_path / "run", cache_dir=tmp_path / "cache", quiet=True)
    report = evaluate(result.model_path, root)
    assert (report.num_videos, report.top1) == (4, 1.0)


@pytest.mark.usefixtures("toy_names")
def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="taken"):
        register_backbone("mean-colour", BackboneSpec(build=MeanColour))
    with pytest.raises(ConfigError, match="taken"):
        register_backbone("alexnet", BackboneSpec(build=MeanColour))
    with pytest.raises(ConfigError, match="taken"):
        register_reader("toy-pairs", Reader(lambda path: False, read_pairs))
