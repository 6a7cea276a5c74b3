from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import MakeClip
from torch import nn

from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.errors import ConfigError
from lrcn.inference.recognition.explaining import class_maps, explain, log_odds, mapped_probs
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.two_stream import TwoStreamRecognizer
from lrcn.models.heads import TrainingClips
from lrcn.models.recognition import RecognitionModel

PX = 64
SIZES = {"conv1": 6, "conv2": 6, "conv3": 6, "conv4": 6, "conv5": 6, "fc6": 8, "fc7": 8, "input_px": 67}


def tiny(layer: str = "conv2+conv5", head: str = "lstm+statistics", grid: int = 1, **more: object) -> RecognitionModel:
    backbone = BackboneConfig(name="caffenet", layer=layer, grid=grid, sizes=SIZES)
    config = RecognitionConfig(backbone=backbone, num_classes=2, hidden_size=4, head=head, **more)  # type: ignore[arg-type]
    torch.manual_seed(3)
    model = RecognitionModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape) * 2 / parameter[0].numel() ** 0.5)
    return model


def pixels(number: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(number, 3, 67, 67)).astype(np.float32))


@pytest.mark.parametrize("head", ["lstm", "statistics", "frame", "mean", "lstm+statistics"])
def test_gradients_are_those_of_finite_differences(head: str) -> None:
    """Of the maps themselves: pooled by NumPy, the head in double precision, each value moved by a little."""
    model = tiny(head=head).double()
    maps, probs = mapped_probs(model, pixels().double())
    assert [len(one.shape) for one in maps] == [4, 4]
    gradients = torch.autograd.grad(probs[0, 1].log(), maps)

    def log_prob(values: Sequence[np.ndarray]) -> float:
        pooled = np.concatenate([one.mean(axis=(2, 3)) for one in values], axis=1)
        with torch.no_grad():
            return float(model.head.clip_probs(torch.from_numpy(pooled)[None])[0, 1].log())

    values = [one.detach().numpy().copy() for one in maps]
    assert np.exp(log_prob(values)) == pytest.approx(float(probs[0, 1].detach()))
    rng = np.random.default_rng(1)
    for place, gradient in enumerate(gradients):
        assert float(gradient.abs().max()) > 1e-7
        for _ in range(6):
            at = tuple(rng.integers(size) for size in gradient.shape)
            ends = []
            for step in (1e-4, -1e-4):
                moved = [one.copy() for one in values]
                moved[place][at] += step
                ends.append(log_prob(moved))
            assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(float(gradient[at]), rel=1e-3, abs=1e-8)


def enlarged(values: np.ndarray, size: int) -> np.ndarray:
    """Bilinear, one axis after the other, borders repeated."""
    for axis in (0, 1):
        at = (np.arange(size) + 0.5) * values.shape[axis] / size - 0.5
        values = np.apply_along_axis(lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, values)
    return values


@pytest.mark.parametrize(("layer", "grid"), [("conv5", 1), ("conv2+conv5", 1), ("conv2", 3)])
def test_the_map_is_gradient_times_value_of_each_place(layer: str, grid: int) -> None:
    model = tiny(layer=layer, grid=grid)
    maps, probs = mapped_probs(model, pixels())
    gradients = torch.autograd.grad(probs[0, 0].log() - probs[0, 1].log(), maps)
    expected = np.zeros((5, 67, 67))
    for values, gradient in zip(maps, gradients, strict=True):
        channels = values.detach().numpy()
        above = channels - channels.mean(axis=(0, 2, 3), keepdims=True)
        shares = (gradient.numpy() * above).sum(axis=1)
        expected += [enlarged(one, 67) * one.size / 67**2 for one in shares]
    assert expected.max() > 0
    np.testing.assert_allclose(class_maps(model, pixels(), 0), expected.clip(min=0), rtol=1e-3, atol=1e-9)


def test_odds_of_what_is_certain_have_a_gradient() -> None:
    for multi_label in (False, True):
        logits = torch.tensor([0.3, -0.4, 1.1], requires_grad=True)
        probs = logits.sigmoid() if multi_label else logits.softmax(0)
        odds = log_odds(probs, 2, multi_label=multi_label)
        assert float(odds.detach()) == pytest.approx(float((probs[2] / (1 - probs[2])).log().detach()), rel=1e-5)
    certain = torch.tensor([30.0, -30.0, 0.0], requires_grad=True)
    assert float(certain.softmax(0)[0].detach()) == 1.0
    (gradient,) = torch.autograd.grad(log_odds(certain.softmax(0), 0, multi_label=False), certain)
    assert float(gradient[0]) == pytest.approx(1.0)
    assert float(gradient[2]) == pytest.approx(-1.0)


def test_vectors_are_explained_by_the_last_map_before_them() -> None:
    model = tiny(layer="fc6", head="lstm")
    maps, probs = mapped_probs(model, pixels())
    assert [len(one.shape) for one in maps] == [4]
    torch.testing.assert_close(probs, model.clip_probs(model.encode(pixels())[None]))
    (gradient,) = torch.autograd.grad(probs[0, 0].log(), maps)
    assert float(gradient.abs().max()) > 0
    assert not any(module._forward_hooks for module in model.modules())
    model.backbone.trunk = nn.Sequential(nn.Flatten(), nn.Linear(3 * 67 * 67, 8))
    with pytest.raises(ConfigError, match="has no feature map"):
        class_maps(model, pixels(), 0)


def scene(quarter: int | None, seed: int) -> np.ndarray:
    """Grey noise of eight frames, in which one quarter blinks; frames `(8, 67, 67, 3)`."""
    rng = np.random.default_rng(seed)
    frames = 110 + 20 * rng.random((8, 67, 67, 3))
    if quarter is not None:
        top, left = 34 * (quarter // 2), 34 * (quarter % 2)
        stripes = 120 * (np.indices((28, 28)).sum(axis=0) // 4 % 2)[..., None]
        frames[::2, top + 3 : top + 31, left + 3 : left + 31] += stripes
    return frames.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("head", ["statistics", "mean"])
def test_the_map_lies_where_what_decides_is(head: str, make_clip: MakeClip, tmp_path: Path) -> None:
    """Clips blink or do not, anywhere: a head that learnt to tell them apart must be shown to look at the blinking."""
    model = tiny(layer="relu1+pool1", head=head, standardise=True)
    preprocess = PreprocessConfig(resize=67, crop=67, clip_length=8, clip_stride=4)
    recognizer = Recognizer(
        RecognitionHeader(model=model.config, preprocess=preprocess, labels=("blink", "still"), provenance={}), model
    )
    clips, targets = [], []
    for number in range(24):
        frames = scene((number // 2) % 4 if number % 2 else None, number)
        clips.append(torch.from_numpy(recognizer.runtime.encode(frames, recognizer.views[0])))
        targets.append(0 if number % 2 else 1)
    features = torch.stack(clips)
    weights = torch.ones(len(features))
    batch = TrainingClips(features, torch.full((24,), 8), torch.tensor(targets), weights)
    model.head.fit(lambda: [batch])
    if head == "mean":
        trained = torch.optim.LBFGS(model.head.classifier.parameters(), max_iter=100)

        def loss() -> torch.Tensor:
            trained.zero_grad()
            value = model.head.loss(features, batch.targets)
            value.backward()
            return value

        trained.step(loss)
    for quarter in range(4):
        path = make_clip(tmp_path / f"{quarter}.avi", scene(quarter, 100 + quarter), 10)
        found = explain(recognizer, path, label="blink")
        assert found.prob > 0.8
        masses = [found.maps[:, top : top + 34, left : left + 34].sum() for top in (0, 33) for left in (0, 33)]
        assert masses[quarter] > 0.6 * sum(masses)
        np.testing.assert_array_equal(found.frames, scene(quarter, 100 + quarter))


def test_the_clip_is_the_one_in_which_the_label_is_most_probable(tiny_model: Path, clip20: Path) -> None:
    recognizer = Recognizer.load(tiny_model, device="cpu")
    windows = recognizer.window_probs(clip20, clip_stride=1)
    found = explain(recognizer, clip20)
    assert found.prob == pytest.approx(windows.probs.max())
    assert (found.label_id, found.label) == (windows.probs.max(axis=0).argmax(), recognizer.labels[found.label_id])
    assert len(found.frames) == 4
    assert found.maps.shape == found.frames.shape[:3]
    best = int(windows.probs[:, found.label_id].argmax())
    np.testing.assert_allclose(found.times_s, windows.times_s[best : best + 4])
    other = explain(recognizer, clip20, label="jump", start_s=0.5, end_s=1.2)
    assert other.label == "jump"
    assert 0.5 <= other.times_s[0] <= other.times_s[-1] < 1.2
    assert other.prob == pytest.approx(
        recognizer.window_probs(clip20, clip_stride=1, start_s=0.5, end_s=1.2).probs[:, 2].max()
    )
    one = explain(recognizer, np.zeros((1, 80, 80, 3), np.uint8))
    assert np.isfinite(one.maps).all()


def test_what_has_no_gradients_is_refused(tiny_model: Path, clip20: Path) -> None:
    recognizer = Recognizer.load(tiny_model, device="cpu")
    with pytest.raises(ConfigError, match="unknown label 'wav'; did you mean 'wave'"):
        explain(recognizer, clip20, label="wav")
    flow = replace(recognizer.header, preprocess=replace(recognizer.header.preprocess, stream="flow"))
    both = TwoStreamRecognizer(recognizer, Recognizer(flow, recognizer.runtime))
    with pytest.raises(ConfigError, match="got two streams; use: torch"):
        explain(both, clip20)
