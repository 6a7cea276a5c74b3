"""The recurrence over embedded frames, against the network it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lrcn.config import RecognitionConfig, RecognitionHeader
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.models.recognition import RecognitionModel
from lrcn.models.recurrence import Recurrence

HEADS: list[dict[str, Any]] = [
    {},
    {"readout": "last"},
    {"num_layers": 3},
    {"embedding_size": 5},
    {"change_memory": (0.0,)},
    {"change_memory": (0.9, 0.0, 0.4), "embedding_size": 6, "num_layers": 2, "hidden_size": 7},
    {"head": "mean"},
    {"head": "frame"},
]


def network(tiny_config: RecognitionConfig, options: dict[str, Any]) -> RecognitionModel:
    torch.manual_seed(4)
    model = RecognitionModel(replace(tiny_config, **options)).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.mul_(3)  # or later layers would hardly move
        if parameter.dim() == 1:
            parameter.normal_()  # biases begin at zero, and would not be missed
    if model.lstm is not None:
        for layer in model.lstm.layers:
            layer.bias_hh_l0.zero_()
    return model


@pytest.mark.parametrize("options", HEADS, ids=str)
@pytest.mark.parametrize("length", [1, 2, 9])
def test_probabilities_are_those_of_the_network(
    tiny: tuple[RecognitionHeader, RecognitionModel], options: dict[str, Any], length: int
) -> None:
    model = network(tiny[0].model, options)
    features = torch.randn(4, length, model.backbone.feature_size)
    recurrence = Recurrence(model)
    embedded = recurrence.embed(features.flatten(0, 1)).unflatten(0, (4, length))
    found = recurrence.frame_probs(embedded)
    expected = torch.stack([model(features[:, : t + 1]).softmax(-1)[:, -1] for t in range(length)], dim=1)
    assert length == 1 or expected.std(dim=1).max() > 0.01  # or the order of frames would not matter
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", HEADS, ids=str)
def test_clips_are_read_out_as_by_the_network(
    tiny: tuple[RecognitionHeader, RecognitionModel], options: dict[str, Any]
) -> None:
    model = network(tiny[0].model, options)
    runtime = TorchRuntime(model, tiny[0].preprocess)
    features = torch.randn(3, 5, model.backbone.feature_size)
    embedded = runtime.embed(features.flatten(0, 1).numpy())
    found = runtime.clip_probs(embedded.reshape(3, 5, -1))
    np.testing.assert_allclose(found, model.clip_probs(features).numpy(), atol=1e-6)


@pytest.mark.parametrize("options", HEADS, ids=str)
def test_a_frame_is_embedded_alike_wherever_it_lies(
    tiny: tuple[RecognitionHeader, RecognitionModel], options: dict[str, Any]
) -> None:
    recurrence = Recurrence(network(tiny[0].model, options))
    features = torch.randn(6, tiny[1].backbone.feature_size)
    torch.testing.assert_close(recurrence.embed(features)[2:3], recurrence.embed(features[2:3]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", HEADS, ids=str)
def test_weights_are_shared_with_the_network(
    tiny: tuple[RecognitionHeader, RecognitionModel], options: dict[str, Any]
) -> None:
    model = network(tiny[0].model, options)
    recurrence = Recurrence(model)
    features = torch.randn(3, 5, model.backbone.feature_size)

    def found() -> torch.Tensor:
        return recurrence.frame_probs(recurrence.embed(features.flatten(0, 1)).unflatten(0, (3, 5)))[:, -1]

    before = found()
    for parameter in model.parameters():
        parameter.mul_(-0.5)
    torch.testing.assert_close(found(), model(features).softmax(-1)[:, -1], rtol=0, atol=1e-6)
    assert (found() - before).abs().max() > 0.01


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_recurrence_is_float32_under_autocast(
    tiny: tuple[RecognitionHeader, RecognitionModel], dtype: torch.dtype
) -> None:
    header, model = tiny
    runtime = TorchRuntime(model, header.preprocess)
    features = np.random.default_rng(0).normal(size=(4, model.backbone.feature_size)).astype(np.float32)

    def run() -> list[np.ndarray]:
        embedded = runtime.embed(features)
        probs, state = runtime.step(features, runtime.initial_state(4))
        return [embedded, runtime.clip_probs(embedded[None]), probs, *state.values()]

    expected = run()
    with torch.autocast("cpu", dtype):
        for found, wanted in zip(run(), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
