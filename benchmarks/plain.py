"""The plain community way that the goals were set against: what people write who do not tune.

torchvision's AlexNet cut after fc6's ReLU and `nn.LSTM`, in float32 and torch's default memory layout, with our weights
copied in. A window is fetched as a data set fetches an item: the file is opened, decoded up to the window's end, and
each frame of the window goes through torchvision's transforms.

Two ways to push frames through the CNN are common, and both are measured: one call for the frames of a clip
(`encode_together`, as eriklindernoren/Action-Recognition does), and a loop over the time steps of the batch
(`encode_in_a_loop`, as HHTseng/video-classification and pranoyr/cnn-lstm do).

Nothing here is slowed on purpose: threads are torch's, `inference_mode` is on, decoding uses ffmpeg's threads, only the
frames of the window are converted and transformed. The clip that is timed has one keyframe, its first, so that a reader
that seeks would decode the same frames.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models, transforms

from benchmarks.subjects import CLIP_LENGTH, MEAN
from lrcn.models.heads import LSTMHead
from lrcn.models.recognition import RecognitionModel

TRANSFORM = transforms.Compose(
    [
        transforms.CenterCrop(227),
        transforms.ToTensor(),
        transforms.Normalize([value / 255 for value in MEAN], [1 / 255] * 3),
    ]
)


class PlainNetwork(nn.Module):
    """The same network as `subjects.alexnet_lstm`, as torchvision and torch have it."""

    def __init__(self, ours: RecognitionModel) -> None:
        """Copy the weights."""
        super().__init__()
        alexnet = models.alexnet(weights=None)
        self.cnn = nn.Sequential(alexnet.features, alexnet.avgpool, nn.Flatten(), *list(alexnet.classifier)[:3])
        self.lstm = nn.LSTM(alexnet.classifier[1].out_features, ours.config.hidden_size, batch_first=True)
        self.classifier = nn.Linear(ours.config.hidden_size, ours.config.num_classes)
        missing, _ = alexnet.load_state_dict(ours.backbone.trunk.state_dict(), strict=False)
        assert missing == ["classifier.4.weight", "classifier.4.bias", "classifier.6.weight", "classifier.6.bias"]
        assert isinstance(ours.head, LSTMHead)
        self.lstm.load_state_dict(ours.head.lstm.layers[0].state_dict())
        self.classifier.load_state_dict(ours.head.classifier.state_dict())
        self.eval()
        assert all(weight.is_contiguous() for weight in self.parameters())  # not channels last

    def encode_together(self, clips: Tensor) -> Tensor:
        """Return the features `(B, T, D)` of clips `(B, T, 3, H, W)` in one CNN call."""
        return self.cnn(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])

    def encode_in_a_loop(self, clips: Tensor) -> Tensor:
        """Return the same, one time step after the other."""
        return torch.stack([self.cnn(clips[:, t]) for t in range(clips.shape[1])], dim=1)

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits `(B, T, A)` of features `(B, T, D)`."""
        outputs, _ = self.lstm(features)
        return self.classifier(outputs)

    def probs(self, features: Tensor) -> Tensor:
        """Return the mean softmax over the frames, `(B, A)`."""
        return self.logits(features).softmax(-1).mean(1)


def load_window(path: Path, start: int) -> Tensor:
    """Decode one window and return it as `(T, 3, 227, 227)`."""
    frames = []
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if number >= start:
                frames.append(TRANSFORM(Image.fromarray(frame.to_ndarray(format="rgb24"))))
            if number == start + CLIP_LENGTH - 1:
                break
    return torch.stack(frames)


@torch.inference_mode()
def in_one_batch(network: PlainNetwork, path: Path, starts: list[int]) -> np.ndarray:
    """Return the probabilities of all windows `(N, A)`, which make one batch and one CNN call."""
    clips = torch.stack([load_window(path, start) for start in starts])
    return network.probs(network.encode_together(clips)).numpy()


@torch.inference_mode()
def window_by_window(network: PlainNetwork, path: Path, starts: list[int]) -> np.ndarray:
    """Return the same with one CNN call a window."""
    probs = [network.probs(network.encode_together(load_window(path, start)[None])) for start in starts]
    return torch.cat(probs).numpy()


@torch.inference_mode()
def frame_by_frame(network: PlainNetwork, path: Path, starts: list[int]) -> np.ndarray:
    """Return the same with one CNN call for each frame of a window."""
    probs = [network.probs(network.encode_in_a_loop(load_window(path, start)[None])) for start in starts]
    return torch.cat(probs).numpy()
