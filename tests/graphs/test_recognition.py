"""Graphs of a model that judges several behaviours at once say what torch says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import _TINY_BACKBONE

from lrcn.config import PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.graphs.conversion import write_graphs
from lrcn.inference.recognition.graph_runtime import GraphRuntime
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.models.recognition import RecognitionModel


def test_exported_sigmoids_are_those_of_torch(tmp_path: Path) -> None:
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    config = RecognitionConfig(
        backbone=_TINY_BACKBONE, num_classes=3, multi_label=True, head="lstm+mean", hidden_size=6, change_memory=(0.0,)
    )
    pixels = PreprocessConfig(resize=72, crop=67, clip_length=4, clip_stride=2)
    header = RecognitionHeader(model=config, preprocess=pixels, labels=("a", "b", "c"))
    torch.manual_seed(0)
    network = RecognitionModel(config).eval()
    graphs, reference = GraphRuntime(write_graphs(header, network, tmp_path, "onnx")), TorchRuntime(network, pixels)
    features = torch.randn(5, network.backbone.feature_size).numpy()
    for length in (4, 3):
        windows = [np.stack([runtime.embed(features)[:length]]) for runtime in (graphs, reference)]
        found, expected = (r.clip_probs(w) for r, w in zip((graphs, reference), windows, strict=True))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert abs(expected.sum() - 1) > 0.05
    state, other = graphs.initial_state(5), reference.initial_state(5)
    for _ in range(3):
        found, state = graphs.step(features, state)
        expected, other = reference.step(features, other)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    logits, _ = network.step(torch.from_numpy(features), network.initial_state(5))
    first, _ = reference.step(features, reference.initial_state(5))
    np.testing.assert_allclose(first, logits.sigmoid().detach(), atol=1e-6)
