"""CONTRIBUTING's table: a backbone, a head and a data format from outside the package, with nothing in it touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip
from torch import Tensor, nn

import lrcn
from lrcn.config import RecognitionConfig
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample
from lrcn.data.recognition.readers import READERS, Reader, read_recognition_data, register_reader
from lrcn.errors import ConfigError
from lrcn.evaluation.evaluating import evaluate
from lrcn.export.exporting import export_model
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES, register_backbone
from lrcn.models.heads import HEADS, Head, register_head
from lrcn.models.pooling import valid_steps
from lrcn.training.fit import train
from lrcn.training.recognition.config import RecognitionTrainingConfig


class MeanColour(nn.Module):
    """A backbone of three numbers: the mean of each channel."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(2, 3))


class Attention(Head):
    """A head that looks at a clip as a whole: frames weighted by one learnt score each."""

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        super().__init__(config, feature_size)
        self.score = nn.Linear(feature_size, 1)
        self.classifier = nn.Linear(feature_size, config.num_classes)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        scores = self.score(features)
        if lengths is not None:
            scores = scores.masked_fill(~valid_steps(lengths, scores).unsqueeze(2), -1e9)
            features = features.masked_fill(~valid_steps(lengths, features).unsqueeze(2), 0.0)
        return self.classifier((scores.softmax(dim=1) * features).sum(dim=1, keepdim=True))


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
    register_head("attention", Attention)
    yield
    del BACKBONES["mean-colour"], READERS["toy-pairs"], HEADS["attention"]


@pytest.mark.usefixtures("toy_names")
@pytest.mark.parametrize("head", ["lstm", "attention"])
def test_toy_backbone_head_and_reader_do_all_that_ours_do(head: str, tmp_path: Path, make_clip: MakeClip) -> None:
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
        backbone="mean-colour",
        backbone_weights="none",
        head=head,
        hidden_size=8,
        clip_length=4,
        clip_stride=2,
        epochs=30,
        lr=0.02,
    )
    result = train(config, data, output=tmp_path / "run", cache_dir=tmp_path / "cache", quiet=True)
    report = evaluate(result.model_path, root)
    assert (report.num_videos, report.top1) == (4, 1.0)

    recognizer = lrcn.load(result.model_path)
    assert isinstance(recognizer, lrcn.Recognizer)
    expected = recognizer(root / "e1.avi")
    assert expected.label == "red"
    export_model(result.model_path, tmp_path / "graphs")
    found = lrcn.load(tmp_path / "graphs")(root / "e1.avi")
    assert found.probs == pytest.approx(expected.probs, abs=1e-5)
    short = np.full((3, 32, 32, 3), 150, np.uint8)  # fewer frames than a window
    assert lrcn.load(tmp_path / "graphs")(short).probs == pytest.approx(recognizer(short).probs, abs=1e-5)
    assert StreamingRecognizer(recognizer).push(short[0], 0.0) is None
    if head == "attention":
        with pytest.raises(ConfigError, match="the head 'attention' reads whole clips; use mode window"):
            StreamingRecognizer(recognizer, mode="carry")


@pytest.mark.usefixtures("toy_names")
def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="taken"):
        register_backbone("mean-colour", BackboneSpec(build=MeanColour))
    with pytest.raises(ConfigError, match="taken"):
        register_backbone("alexnet", BackboneSpec(build=MeanColour))
    with pytest.raises(ConfigError, match="taken"):
        register_head("lstm", Attention)
    with pytest.raises(ConfigError, match="taken"):
        register_reader("toy-pairs", Reader(lambda path: False, read_pairs))
