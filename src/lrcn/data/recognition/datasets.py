"""Torch data sets of training clips.

What a clip is depends on nothing but (seed, epoch, video).

Shapes: B clips, T frames of a clip, D feature size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lrcn.bouts import Region
from lrcn.config import PreprocessConfig
from lrcn.data.batches import ClipKey, FeatureVideo, stacked
from lrcn.errors import MediaError
from lrcn.video.inputs import network_images
from lrcn.video.sampling import clip_windows, random_window
from lrcn.video.views import View, random_view


class FeatureBatch(NamedTuple):
    """Clips of cached features."""

    features: Tensor
    """`(B, T, D)` float32, zero past a clip's end."""
    lengths: Tensor
    """`(B,)` int64."""
    labels: Tensor
    """`(B,)` int64."""

    def to(self, device: torch.device) -> FeatureBatch:
        """Return the batch on another device."""
        return FeatureBatch(*(part.to(device, non_blocking=True) for part in self))


class FrameBatch(NamedTuple):
    """Clips of decoded frames, whose sizes may differ before cropping."""

    frames: tuple[Tensor, ...]
    """B clips, each `(T, H, W, 3)` uint8."""
    views: tuple[View, ...]
    """How each is to be cropped and mirrored."""
    labels: Tensor
    """`(B,)` int64."""
    failures: tuple[str, ...] = ()
    """Why videos of this batch are missing."""

    def to(self, device: torch.device) -> FrameBatch:
        """Return the batch on another device."""
        frames = tuple(clip.to(device, non_blocking=True) for clip in self.frames)
        return self._replace(frames=frames, labels=self.labels.to(device, non_blocking=True))


@dataclass(frozen=True)
class FrameVideo:
    """A video that is decoded anew for every clip."""

    label: int
    path: Path
    start_s: float
    num_frames: int
    """Sampled frames, as far as the file's header tells."""
    fps: float
    """Of the sampled frames."""
    roi: Region | None = None
    """Where in the picture to look; None for all of it."""


class _Labelled(Protocol):
    @property
    def label(self) -> int: ...


V = TypeVar("V", bound=_Labelled)


def balanced(videos: Sequence[V]) -> list[V]:
    """Return the videos with those of smaller classes repeated in turn, until each class has as many as the largest."""
    of_class: dict[int, list[V]] = {}
    for video in videos:
        of_class.setdefault(video.label, []).append(video)
    most = max(len(own) for own in of_class.values())
    return [own[number % len(own)] for own in of_class.values() for number in range(most)]


class FeatureClips(Dataset[tuple[NDArray[Any], int]]):
    """Random clips of cached features, from a random one of the views of the video."""

    def __init__(self, videos: Sequence[FeatureVideo], clip_length: int, *, seed: int) -> None:
        """Take the videos; `ClipKey.video` counts them."""
        self._videos = videos
        self._clip_length = clip_length
        self._seed = seed
        self._starts = np.array([max(1, video.num_frames - clip_length + 1) for video in videos])
        self._views = np.array([len(video.views) for video in videos])
        self._epoch = -1
        self._drawn: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, key: ClipKey) -> tuple[NDArray[Any], int]:
        """Return features `(T, D)`, T at most `clip_length`, and the label."""
        if key.epoch != self._epoch:
            # all of an epoch at once: a generator for each clip would take longer than the clip
            draws = np.random.default_rng((self._seed, key.epoch)).random((len(self._videos), 2))
            starts, views = (draws * np.stack([self._starts, self._views], axis=1)).astype(int).T
            self._drawn = list(zip(starts.tolist(), views.tolist(), strict=True))
            self._epoch = key.epoch
        start, view = self._drawn[key.video]
        video = self._videos[key.video]
        return video.window(view, start, min(start + self._clip_length, video.num_frames)), video.label


class FrameClips(Dataset["tuple[Tensor, View, int] | str"]):
    """Random clips decoded from the videos, only the frames that are needed, with one random view a clip."""

    def __init__(
        self, videos: Sequence[FrameVideo], preprocess: PreprocessConfig, *, mirror: bool, jitter: float, seed: int
    ) -> None:
        """Take the videos; `ClipKey.video` counts them. `mirror` and `jitter` are those of `random_view`."""
        self._videos = videos
        self._preprocess = preprocess
        self._mirror = mirror
        self._jitter = jitter
        self._seed = seed

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, key: ClipKey) -> tuple[Tensor, View, int] | str:
        """Return frames or flow images `(T, H, W, 3)` uint8, the view and the label; or why there is no clip."""
        video = self._videos[key.video]
        rng = np.random.default_rng((self._seed, key.epoch, key.video))
        quirks = self._preprocess.release_quirks
        # the released reader starts at the second RGB frame at the earliest
        skipped = int(quirks and self._preprocess.stream == "rgb" and video.num_frames > 1)
        start, end = random_window(video.num_frames - skipped, self._preprocess.clip_length, rng)
        start, end = start + skipped, end + skipped
        view = random_view(rng, mirror=self._mirror, jitter=self._jitter, release_quirks=quirks)
        try:
            try:
                images = self._decode(video, start, end)
            except MediaError:  # a file that is shorter than it says may have nothing there
                images = self._decode(video, 0, end - start)
        except MediaError as exc:
            return str(exc)
        return torch.from_numpy(images), view, video.label

    def _decode(self, video: FrameVideo, start: int, end: int) -> NDArray[np.uint8]:
        last = end + (self._preprocess.stream == "flow")  # a flow image takes two frames
        chunks = network_images(
            video.path,
            self._preprocess,
            start_s=video.start_s + start / video.fps,
            end_s=video.start_s + last / video.fps,
            roi=video.roi,
            on_warning=lambda message: None,
        )
        return np.concatenate([chunk.frames for chunk in chunks])[: end - start]


def collate_features(clips: list[tuple[NDArray[Any], int]]) -> FeatureBatch:
    """Put clips into one batch, padded with zeros on the right."""
    features, lengths = stacked([rows for rows, _ in clips])
    return FeatureBatch(features, lengths, torch.tensor([label for _, label in clips]))


def collate_frames(clips: list[tuple[Tensor, View, int] | str]) -> FrameBatch:
    """Put clips into one batch; what failed is left out and said, even if nothing is left."""
    failures = tuple(clip for clip in clips if isinstance(clip, str))
    good = [clip for clip in clips if not isinstance(clip, str)]
    return FrameBatch(
        frames=tuple(frames for frames, _, _ in good),
        views=tuple(view for _, view, _ in good),
        labels=torch.tensor([label for _, _, label in good], dtype=torch.int64),
        failures=failures,
    )


class WindowBatch(NamedTuple):
    """Windows of whole videos, for validation."""

    features: Tensor
    """`(B, T, D)` float32, zero past a window's end."""
    lengths: Tensor
    """`(B,)` int64."""
    videos: Tensor
    """The video of each window, `(B,)` int64."""


def window_batches(
    videos: Sequence[FeatureVideo],
    clip_length: int,
    clip_stride: int,
    *,
    every_view: bool = False,
    batch_size: int = 64,
) -> Iterator[WindowBatch]:
    """Yield all windows of each video, cut as in recognition: of its first view, or of every view."""
    waiting: list[tuple[NDArray[Any], int]] = []
    for number, video in enumerate(videos):
        views = range(len(video.views) if every_view else 1)
        for view, (start, end) in product(views, clip_windows(video.num_frames, clip_length, clip_stride)):
            waiting.append((video.window(view, start, end), number))
            if len(waiting) == batch_size:
                yield WindowBatch(*collate_features(waiting))
                waiting = []
    if waiting:
        yield WindowBatch(*collate_features(waiting))
