"""Fusion of an RGB and a flow model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import MakeClip, textured_frames

from lrcn.config import BackboneConfig, Calibration, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.data.recognition.flow import build_flow, flow_path
from lrcn.errors import ConfigError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.two_stream import TwoStreamRecognizer
from lrcn.models.recognition import RecognitionModel
from lrcn.video.flow_file import FlowTag
from lrcn.video.views import TEN_CROP_VIEWS

SIZES = {"conv1": 4, "conv2": 4, "conv3": 4, "conv4": 4, "conv5": 4, "fc6": 8, "fc7": 8, "input_px": 67}
PREPROCESS = PreprocessConfig(resize=72, crop=67, clip_length=4, clip_stride=2)
LABELS = ("walk", "wave", "jump")


def _recognizer(stream: str, *, seed: int = 0, labels: tuple[str, ...] = LABELS, **preprocess: object) -> Recognizer:
    backbone = BackboneConfig(name="caffenet", layer="fc6", sizes=SIZES)
    header = RecognitionHeader(
        model=RecognitionConfig(backbone=backbone, num_classes=len(labels), hidden_size=8),
        preprocess=replace(PREPROCESS, stream=stream, **preprocess),
        labels=labels,
    )
    torch.manual_seed(seed)
    network = RecognitionModel(header.model)
    with torch.no_grad():
        for parameter in network.parameters():
            # drawn apart: filling in place would follow the memory order of the backbone's weights
            parameter.copy_(torch.randn(parameter.shape) * 2 / max(1, parameter[0].numel()) ** 0.5)
    return Recognizer(header, network, name=stream)


@pytest.fixture(scope="module")
def rgb() -> Recognizer:
    return _recognizer("rgb")


@pytest.fixture(scope="module")
def flow() -> Recognizer:
    return _recognizer("flow", seed=1)


def test_fusion_is_the_weighted_mean_over_common_windows(rgb: Recognizer, flow: Recognizer, clip20: Path) -> None:
    result = TwoStreamRecognizer(rgb, flow, rgb_weight=0.25)(clip20)
    from_second = rgb(clip20, start_s=0.1)  # the frames that have a flow image
    expected = 0.25 * np.array(from_second.probs) + 0.75 * np.array(flow(clip20).probs)
    np.testing.assert_allclose(result.probs, expected, atol=1e-6)
    assert len(result.segments) == len(flow(clip20).segments)


def test_each_stream_is_corrected_by_itself(rgb: Recognizer, flow: Recognizer, clip20: Path) -> None:
    streams = [
        Recognizer(replace(one.header, calibration=Calibration(temperature=t, unknown_below=level)), one.runtime)
        for one, t, level in ((rgb, 2.0, 0.8), (flow, 0.5, 0.4))
    ]
    both = TwoStreamRecognizer(*streams, rgb_weight=0.25)
    assert both.unknown_below == pytest.approx(0.5)
    result = both(clip20)
    expected = 0.25 * np.array(streams[0](clip20, start_s=0.1).probs) + 0.75 * np.array(streams[1](clip20).probs)
    np.testing.assert_allclose(result.probs, expected, atol=1e-6)
    assert result.known == (max(result.probs) >= 0.5)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_weights_at_the_ends_leave_one_stream(rgb: Recognizer, flow: Recognizer, clip20: Path, weight: float) -> None:
    result = TwoStreamRecognizer(rgb, flow, rgb_weight=weight)(clip20)
    alone = rgb(clip20, start_s=0.1) if weight else flow(clip20)
    np.testing.assert_allclose(result.probs, alone.probs, atol=1e-6)


def test_a_stride_of_nothing_is_refused(rgb: Recognizer, flow: Recognizer, clip20: Path) -> None:
    with pytest.raises(ConfigError, match="clip_stride"):
        TwoStreamRecognizer(rgb, flow)(clip20, clip_stride=0)


@pytest.mark.parametrize("top_k", [0, -1])
def test_no_labels_are_refused(rgb: Recognizer, flow: Recognizer, clip20: Path, top_k: int) -> None:
    with pytest.raises(ConfigError, match=f"top_k must be at least 1, got {top_k}"):
        TwoStreamRecognizer(rgb, flow)(clip20, top_k=top_k)


def test_it_takes_lists_folders_and_broken_sources_as_a_recognizer_does(
    rgb: Recognizer, flow: Recognizer, clip20: Path, frames20: np.ndarray, tmp_path: Path
) -> None:
    both = TwoStreamRecognizer(rgb, flow)
    of_file, of_array = both([clip20, frames20], top_k=1)
    assert (of_file.source, of_array.source, len(of_file.top)) == (str(clip20), "array", 1)
    assert of_file.probs == both(clip20).probs
    assert [result.source for result in both.stream(clip20.parent)] == [str(clip20)]
    for options in ({"start_s": 1.0}, {"end_s": 1.0}, {"on_progress": print}):
        with pytest.raises(ConfigError, match="are for one source"):
            both([clip20], **options)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    failed: list[str] = []
    results = both.stream([broken, clip20, tmp_path / "no*.mp4"], on_failure=lambda s, e: failed.append(str(s)))
    assert [result.source for result in results] == [str(clip20)]
    assert failed == [str(broken), str(tmp_path / "no*.mp4")]


def test_one_frame_has_an_answer(rgb: Recognizer, flow: Recognizer) -> None:
    result = TwoStreamRecognizer(rgb, flow)(textured_frames(1, 72, 80))
    assert sum(result.probs) == pytest.approx(1)


def test_flow_files_give_what_flow_on_the_fly_gives(
    rgb: Recognizer, flow: Recognizer, tmp_path: Path, make_clip: MakeClip
) -> None:
    path = make_clip(tmp_path / "a.avi", textured_frames(15, 72, 80, seed=2), 10)
    data = RecognitionData(("a", "b"), (RecognitionExample(path, "a", "test"),), "toy")
    build_flow(data, tmp_path, tmp_path / "flow", tag=FlowTag("dis", 10.0, 72), workers=1)
    both = TwoStreamRecognizer(rgb, flow)
    with_files = TwoStreamRecognizer(rgb, flow, flow_file_of=partial(flow_path, tmp_path / "flow", tmp_path))
    stored = with_files(path)
    np.testing.assert_allclose(stored.probs, both(path).probs, atol=0.05)  # storing is not lossless
    assert [(s.start_s, s.end_s) for s in stored.segments] == [(s.start_s, s.end_s) for s in both(path).segments]


def test_ten_crops_are_averaged(rgb: Recognizer, clip20: Path) -> None:
    single = [
        np.array(Recognizer(rgb.header, rgb.runtime, views=(view,))(clip20).probs, dtype=float)
        for view in TEN_CROP_VIEWS
    ]
    ten = Recognizer(rgb.header, rgb.runtime, views=TEN_CROP_VIEWS)(clip20)
    np.testing.assert_allclose(ten.probs, np.mean(single, axis=0), atol=1e-6)
    assert np.std(single, axis=0).max() > 1e-3  # or the test could not fail


def test_models_that_do_not_fit_are_refused(rgb: Recognizer, flow: Recognizer) -> None:
    with pytest.raises(ConfigError, match="wanted one of flow"):
        TwoStreamRecognizer(rgb, rgb)
    with pytest.raises(ConfigError, match="other labels"):
        TwoStreamRecognizer(rgb, _recognizer("flow", labels=("walk", "wave", "sit")))
    with pytest.raises(ConfigError, match="differ in sample_fps"):
        TwoStreamRecognizer(rgb, _recognizer("flow", sample_fps=5.0))
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        TwoStreamRecognizer(rgb, flow, rgb_weight=1.5)
