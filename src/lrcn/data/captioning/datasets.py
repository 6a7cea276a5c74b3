"""Torch data sets of captions and what they describe.

An item depends on nothing but (seed, epoch, number of the sentence).

Shapes: B sentences, T frames, D feature size, L tokens after the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lrcn.config import PreprocessConfig
from lrcn.data.batches import ClipKey, FeatureVideo, stacked
from lrcn.data.captioning.examples import CaptionExample
from lrcn.errors import MediaError
from lrcn.text import Vocabulary
from lrcn.video.inputs import network_images
from lrcn.video.views import View, random_view


@dataclass(frozen=True)
class Sentence:
    """One caption of one example."""

    example: int
    """Which example it describes, by its number in the list of examples."""
    token_ids: tuple[int, ...]
    """The beginning, the words, the end; two tokens at least."""


class CaptionBatch(NamedTuple):
    """Sentences and the features of what they describe."""

    features: Tensor | None
    """`(B, T, D)` float32, zero past a video's end; None where no picture is looked at."""
    lengths: Tensor
    """Frames, `(B,)` int64."""
    tokens: Tensor
    """`(B, L + 1)` int64 from the beginning on, padded on the right."""
    num_tokens: Tensor
    """Tokens to be predicted, `(B,)` int64, from 1 to L."""
    examples: Tensor
    """`(B,)` int64."""

    def to(self, device: torch.device) -> CaptionBatch:
        """Return the batch on another device."""
        return CaptionBatch._make(None if part is None else part.to(device, non_blocking=True) for part in self)


class FrameCaptionBatch(NamedTuple):
    """Sentences and the decoded frames of what they describe, whose sizes may differ before cropping."""

    frames: tuple[Tensor, ...]
    """B clips, each `(T, H, W, 3)` uint8."""
    views: tuple[View, ...]
    """How each is to be cropped and mirrored."""
    tokens: Tensor
    num_tokens: Tensor
    examples: Tensor
    failures: tuple[str, ...] = ()
    """Why sentences of this batch are missing."""

    def to(self, device: torch.device) -> FrameCaptionBatch:
        """Return the batch on another device."""
        return self._replace(
            frames=tuple(clip.to(device, non_blocking=True) for clip in self.frames),
            tokens=self.tokens.to(device, non_blocking=True),
            num_tokens=self.num_tokens.to(device, non_blocking=True),
            examples=self.examples.to(device, non_blocking=True),
        )


class FeatureCaptions(Dataset["tuple[NDArray[Any] | None, Sentence]"]):
    """Sentences beside all frames of a random one of the cached views of their example."""

    def __init__(self, videos: Sequence[FeatureVideo] | None, sentences: Sequence[Sentence], *, seed: int) -> None:
        """Take the videos that `Sentence.example` counts, or None for sentences alone."""
        self._videos = videos
        self._sentences = sentences
        self._seed = seed
        self._epoch = -1
        self._draws: NDArray[np.float64] = np.zeros(0)

    def __len__(self) -> int:
        return len(self._sentences)

    def __getitem__(self, key: ClipKey) -> tuple[NDArray[Any] | None, Sentence]:
        """Return features `(T, D)` and the sentence."""
        sentence = self._sentences[key.video]
        if self._videos is None:
            return None, sentence
        if key.epoch != self._epoch:
            self._draws = np.random.default_rng((self._seed, key.epoch)).random(len(self._sentences))
            self._epoch = key.epoch
        video = self._videos[sentence.example]
        view = int(self._draws[key.video] * len(video.views))
        return video.window(view, 0, video.num_frames), sentence


class FrameCaptions(Dataset["tuple[Tensor, View, Sentence] | str"]):
    """Sentences beside the decoded frames of their example, with one random view each time."""

    def __init__(
        self,
        examples: Sequence[CaptionExample],
        sentences: Sequence[Sentence],
        preprocess: PreprocessConfig,
        *,
        mirror: bool,
        jitter: float,
        seed: int,
    ) -> None:
        """Take the examples that `Sentence.example` counts. `mirror` and `jitter` are those of `random_view`."""
        self._examples = examples
        self._sentences = sentences
        self._preprocess = preprocess
        self._mirror = mirror
        self._jitter = jitter
        self._seed = seed

    def __len__(self) -> int:
        return len(self._sentences)

    def __getitem__(self, key: ClipKey) -> tuple[Tensor, View, Sentence] | str:
        """Return frames `(T, H, W, 3)` uint8, the view and the sentence; or why there are none."""
        sentence = self._sentences[key.video]
        view = random_view(
            np.random.default_rng((self._seed, key.epoch, key.video)), mirror=self._mirror, jitter=self._jitter
        )
        try:
            return torch.from_numpy(decode_frames(self._examples[sentence.example], self._preprocess)), view, sentence
        except MediaError as exc:
            return str(exc)


def decode_frames(example: CaptionExample, preprocess: PreprocessConfig) -> NDArray[np.uint8]:
    """Return all sampled frames of an example, `(T, H, W, 3)`; `MediaError` if none can be decoded."""
    chunks = network_images(
        example.path,
        preprocess,
        start_s=example.start_s,
        end_s=example.end_s,
        on_warning=lambda message: None,
    )
    return np.concatenate([chunk.frames for chunk in chunks])


def collate_captions(items: list[tuple[NDArray[Any] | None, Sentence]]) -> CaptionBatch:
    """Put sentences and features into one batch, both padded on the right."""
    sentences = [sentence for _, sentence in items]
    rows = [features for features, _ in items if features is not None]
    features, lengths = stacked(rows) if rows else (None, torch.ones(len(items), dtype=torch.int64))
    return CaptionBatch(features, lengths, *_tokens(sentences))


def collate_frame_captions(items: list[tuple[Tensor, View, Sentence] | str]) -> FrameCaptionBatch:
    """Put sentences and frames into one batch; what failed is left out and said, even if nothing is left."""
    good = [item for item in items if not isinstance(item, str)]
    return FrameCaptionBatch(
        tuple(frames for frames, _, _ in good),
        tuple(view for _, view, _ in good),
        *_tokens([sentence for _, _, sentence in good]),
        failures=tuple(item for item in items if isinstance(item, str)),
    )


def pad_tokens(token_ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return tokens `(B, L + 1)` int64, padded on the right, and how many of each follow its first, `(B,)`."""
    longest = max((len(ids) for ids in token_ids), default=2)
    rows = [[*ids, *[Vocabulary.PAD] * (longest - len(ids))] for ids in token_ids]
    tokens = torch.tensor(rows, dtype=torch.int64).reshape(len(rows), longest)
    return tokens, torch.tensor([len(ids) - 1 for ids in token_ids], dtype=torch.int64)


def _tokens(sentences: Sequence[Sentence]) -> tuple[Tensor, Tensor, Tensor]:
    tokens, num_tokens = pad_tokens([sentence.token_ids for sentence in sentences])
    return tokens, num_tokens, torch.tensor([sentence.example for sentence in sentences], dtype=torch.int64)
