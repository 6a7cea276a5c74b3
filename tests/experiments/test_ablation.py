"""What sets the rows of the table apart: the order of the frames, and which of them speaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig
from lrcn.experiments.ablation import _predict, _with_readout
from lrcn.models.recognition import RecognitionModel

PREPROCESS = PreprocessConfig(resize=32, crop=32, clip_length=6, clip_stride=6)
NUM_VIDEOS = 40


@pytest.fixture(scope="module")
def model() -> RecognitionModel:
    """An LSTM of large weights, to which the order of the frames matters without training."""
    torch.manual_seed(0)
    config = RecognitionConfig(num_classes=7, backbone=BackboneConfig(layer="blocks.0"), hidden_size=16)
    model = RecognitionModel(config)
    with torch.no_grad():
        for parameter in [*model.head.lstm.parameters(), *model.head.classifier.parameters()]:
            parameter.mul_(6)
    return model


def videos_of(model: RecognitionModel, *, still: bool = False) -> list[Tensor]:
    """Two whole windows each; `still` ones show the same in every frame of a window."""
    generator = torch.Generator().manual_seed(1)
    shape = (NUM_VIDEOS, 2, 1 if still else 6, model.head.lstm.input_size)
    return list(torch.randn(shape, generator=generator).expand(-1, -1, 6, -1).flatten(1, 2))


def by_hand(model: RecognitionModel, video: Tensor, frames: slice) -> int:
    """Two windows, each from an empty memory; the softmax of the frames asked for, averaged."""
    with torch.no_grad():
        logits = [model.eval()(window[None])[0, frames] for window in (video[:6], video[6:])]
        return int(torch.cat(logits).softmax(-1).mean(0).argmax())


def answers(model: RecognitionModel, videos: list[Tensor], shuffle_seed: int | None = None) -> NDArray[np.int64]:
    return _predict(model, videos, PREPROCESS, shuffle_seed=shuffle_seed)


def test_rows_are_the_frames_they_say(model: RecognitionModel) -> None:
    videos = videos_of(model)
    every = [by_hand(model, video, slice(None)) for video in videos]
    last = [by_hand(model, video, slice(-1, None)) for video in videos]
    np.testing.assert_array_equal(answers(model, videos), every)
    np.testing.assert_array_equal(answers(_with_readout(model, "last"), videos), last)
    np.testing.assert_array_equal(answers(model, videos), every)
    assert every != last


def test_shuffling_changes_the_order_within_a_window_and_nothing_else(model: RecognitionModel) -> None:
    videos = videos_of(model)
    shuffled = answers(model, videos, shuffle_seed=0)
    assert (shuffled != answers(model, videos)).any()
    assert (shuffled != answers(model, videos, shuffle_seed=1)).any()
    np.testing.assert_array_equal(shuffled, answers(model, videos, shuffle_seed=0))
    still = videos_of(model, still=True)
    np.testing.assert_array_equal(answers(model, still, shuffle_seed=0), answers(model, still))
