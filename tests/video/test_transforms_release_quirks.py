"""The released code's mistakes, on demand."""

from __future__ import annotations

import numpy as np
import torch

from lrcn.config import PreprocessConfig
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.video.transforms import Preprocess
from lrcn.video.views import View, random_view

PLAIN = PreprocessConfig(resize=(24, 32), crop=20, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), dtype=np.uint8)


def test_what_is_not_mirrored_is_squashed_and_the_rest_is_cropped() -> None:
    rng = np.random.default_rng(1)
    views = [random_view(rng, release_quirks=True) for _ in range(200)]
    assert all(view.squash != view.mirror for view in views)
    assert 60 < sum(view.mirror for view in views) < 140
    rng = np.random.default_rng(1)
    assert not any(random_view(rng).squash for _ in range(200))


def test_a_squashed_view_shows_the_whole_frame() -> None:
    ramp = np.broadcast_to(np.linspace(0, 248, 32, dtype=np.uint8)[None, None, :, None], (1, 24, 32, 3))
    seen = Preprocess(PLAIN)(ramp.copy(), View(squash=True))
    assert seen.shape == (1, 3, 20, 20)
    expected = np.interp((np.arange(20) + 0.5) * 32 / 20 - 0.5, np.arange(32), ramp[0, 0, :, 0])
    np.testing.assert_allclose(seen[0, 0, 10], expected, atol=4)


def test_mirrored_flow_keeps_its_sign_only_with_quirks() -> None:
    flow = {"stream": "flow", "resize": (24, 32), "crop": 20, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    correct = Preprocess(PreprocessConfig(**flow))(FRAMES, View(mirror=True))
    quirky = Preprocess(PreprocessConfig(**flow, release_quirks=True))(FRAMES, View(mirror=True))
    torch.testing.assert_close(correct[:, 0], (256 - quirky[:, 0]).clamp(max=255))
    torch.testing.assert_close(correct[:, 1:], quirky[:, 1:])


def test_the_red_mean_has_its_typo_only_with_quirks() -> None:
    caffe = {"mean": (103.939, 116.779, 123.68), "channel_order": "bgr", "resize": (240, 320), "crop": 227}
    assert RecognitionTrainingConfig().preprocess_config(caffe).mean == (103.939, 116.779, 123.68)
    quirky = RecognitionTrainingConfig(release_quirks=True)
    assert quirky.preprocess_config(caffe).mean == (103.939, 116.779, 128.68)
    flow = RecognitionTrainingConfig(release_quirks=True, stream="flow")
    assert flow.preprocess_config(caffe).mean == (128.0, 128.0, 128.0)
