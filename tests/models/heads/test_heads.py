"""What heads say of frames that were embedded once, against what they say of clips of features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lrcn import model_file
from lrcn.config import RecognitionConfig, RecognitionHeader
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.models.heads import LSTMHead
from lrcn.models.recognition import RecognitionModel

HEADS: list[dict[str, Any]] = [
    {},
    {"readout": "last"},
    {"num_layers": 3},
    {"embedding_size": 5},
    {"change_memory": (0.0,)},
    {"change_memory": (0.9, 0.0, 0.4), "embedding_size": 6, "num_layers": 2, "hidden_size": 7},
    {"head": "mean"},
    {"head": "statistics"},
    {"standardise": True, "embedding_size": 5, "embedding_kind": "principal", "change_memory": (0.0, 0.9)},
    {"head": "lstm+statistics+frame", "standardise": True, "change_memory": (0.4,)},
    {"head": "frame"},
]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> tuple[RecognitionHeader, RecognitionModel]:
    """A header and its network."""
    return model_file.load(tiny_model)


def network(tiny_config: RecognitionConfig, options: dict[str, Any]) -> RecognitionModel:
    torch.manual_seed(4)
    model = RecognitionModel(replace(tiny_config, **options)).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.mul_(3)  # or later layers would hardly move
        if parameter.dim() == 1:
            parameter.normal_()  # biases begin at zero, and would not be missed
    for name, buffer in model.head.named_buffers():
        if not name.endswith("change_memory"):
            buffer.uniform_(0.5, 1.5)  # as if they had been found from training clips
    for module in model.head.modules():
        if isinstance(module, LSTMHead):
            for layer in module.lstm.layers:
                layer.bias_hh_l0.zero_()
    return model


@pytest.mark.parametrize("options", HEADS, ids=str)
@pytest.mark.parametrize("length", [1, 2, 9])
def test_probabilities_are_those_of_the_network(
    tiny: tuple[RecognitionHeader, RecognitionModel], options: dict[str, Any], length: int
) -> None:
    model = network(tiny[0].model, options)
    features = torch.randn(4, length, model.backbone.feature_size)
    embedded = model.head.embed(features.flatten(0, 1)).unflatten(0, (4, length))
    expected = torch.stack([model.clip_probs(features[:, : t + 1]) for t in range(length)])
    assert length == 1 or expected.std(dim=0).max() > 0.01  # or the order of frames would not matter
    torch.testing.assert_close(model.head.embedded_clip_probs(embedded), expected[-1], rtol=0, atol=1e-6)
    # what is past the length of a clip changes nothing
    for t in range(length):
        spoilt = embedded.clone()
        spoilt[:, t + 1 :] = torch.randn_like(spoilt[:, t + 1 :])
        found = model.head.embedded_clip_probs(spoilt, torch.full((4,), t + 1))
        torch.testing.assert_close(found, expected[t], rtol=0, atol=1e-6)


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
    head = network(tiny[0].model, options).head
    features = torch.randn(6, tiny[1].backbone.feature_size)
    torch.testing.assert_close(head.embed(features)[2:3], head.embed(features[2:3]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_head_is_float32_under_autocast(
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
