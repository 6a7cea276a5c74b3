"""The features that training with a frozen backbone reads: which looks at an example, encoded once, kept where."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lrcn.config import ModelHeader, PreprocessConfig
from lrcn.data.batches import FeatureVideo
from lrcn.encoding import encode_chunks
from lrcn.errors import MediaError
from lrcn.extraction import batch_size_on, extract_all
from lrcn.features import FeatureCache, Part, features_key, half_precision, load_or_encode
from lrcn.files import cache_folder
from lrcn.inference.runtimes import open_backbone_runtime
from lrcn.models.network import Network
from lrcn.training.config import TrainingConfig
from lrcn.training.progress import Bar
from lrcn.video.views import CENTER_VIEW, View, random_view

VIEW_SEED = 0
"""Of the cached views; the same for all runs."""

_MEMORY_SHARE = 0.25
"""Of the machine's memory, how much features may take; the rest of them is read from the cache as needed."""


def training_views(config: TrainingConfig, content: str, *, release_quirks: bool = False) -> tuple[View, ...]:
    """Return the looks at a training video that are cached: centre, its mirror image, others drawn from its content.

    Not from the seed of the run: runs with other seeds then share the cache, and a sweep over seeds costs no encoding.
    """
    views = [CENTER_VIEW, View(mirror=True)][: config.views] if config.mirror else [CENTER_VIEW]
    for number in range(len(views), config.views):
        rng = np.random.default_rng((VIEW_SEED, int(content[:16], 16), number))
        views.append(random_view(rng, mirror=config.mirror, jitter=config.jitter, release_quirks=release_quirks))
    return tuple(dict.fromkeys(views))


E = TypeVar("E")


def own_share_first(items: Sequence[E], rank: int, num_ranks: int) -> list[E]:
    """Return all items, from this process's share on: when it comes to those of others, they are in the cache."""
    first = len(items) * rank // num_ranks
    return [*items[first:], *items[:first]]


class ExampleFeatures(ABC):
    """Features of the files of a data set: `fill` makes those of many at once, `get` takes one out."""

    key: str
    """Of what made them."""
    runtime: str | None
    """What encodes; None where nothing does."""

    @abstractmethod
    def fill(self, examples: Sequence[E], part_of: Callable[[E], Part], bar: Bar) -> None:
        """Make what is not there yet; what cannot be read fails when it is taken out."""

    @abstractmethod
    def _load(self, part: Part) -> tuple[FeatureVideo, NDArray[np.float64]]:
        """Return the features of a file and the times of its frames, `(T,)`; `MediaError` if it cannot be read."""

    def get(self, part: Part, *, label_id: int = 0) -> FeatureVideo:
        """Return the features of a video, or where they lie once the memory for features is used up.

        Raises:
            MediaError: If the video cannot be read.
        """
        return replace(self._load(part)[0], label=label_id)

    def get_slice(
        self, part: Part, frames_of: Callable[[NDArray[np.float64]], tuple[int, int]], *, label_id: int = 0
    ) -> FeatureVideo:
        """Return those of some of its frames; what is taken of one video shares its features.

        Args:
            part: The video.
            frames_of: From the times of its frames `(T,)`, in seconds, to the first one wanted and that after the last.
            label_id: Of these frames.

        Raises:
            MediaError: If the video cannot be read, or `frames_of` finds none.
        """
        video, times_s = self._load(part)
        first, last = frames_of(times_s)
        return replace(video, label=label_id, first=first, num_frames=last - first)


class ReadVectors(ExampleFeatures):
    """Ready vectors in place of features: read once, and kept in memory.

    They stay float32, for places in a large picture need it; the cache of features rounds to less.
    """

    key = ""
    runtime = None

    def __init__(self, preprocess: PreprocessConfig, warn: Callable[[str], None]) -> None:
        """Read vectors as a model would; `warn` is told what is odd about a file."""
        self._preprocess, self._warn = preprocess, warn
        self._kept: dict[Part, tuple[FeatureVideo, NDArray[np.float64]]] = {}

    def fill(self, examples: Sequence[E], part_of: Callable[[E], Part], bar: Bar) -> None:
        """See `ExampleFeatures`."""
        for done, example in enumerate(examples):
            bar.update(done)
            with suppress(MediaError):
                self._load(part_of(example))

    def _load(self, part: Part) -> tuple[FeatureVideo, NDArray[np.float64]]:
        if part not in self._kept:
            said: list[str] = []
            chunks = list(
                encode_chunks(
                    part.path,
                    lambda vectors, view: vectors,
                    self._preprocess,
                    start_s=part.start_s,
                    end_s=part.end_s,
                    on_warning=said.append,
                )
            )
            for complaint in said:
                self._warn(complaint)
            rows = np.concatenate([chunk.features[0] for chunk in chunks])
            times_s = np.concatenate([chunk.times_s for chunk in chunks])
            self._kept[part] = FeatureVideo(0, len(rows), (rows,)), times_s
        return self._kept[part]


class EncodedVideos(ExampleFeatures):
    """Features of videos under a frozen backbone: encoded once, cached, and kept in memory while there is room."""

    def __init__(
        self,
        header: ModelHeader,
        model: Network,
        *,
        runtime: str,
        cache_dir: Path | None,
        device: torch.device,
    ) -> None:
        """Encode with this model's backbone, unless the cache has it; `cache_dir` as for `cache_folder`.

        Raises:
            ConfigError: If the runtime cannot be used, or its features are not those of torch.
            MissingExtraError: If it is not installed.
            UnknownNameError: If there is none of this name.
        """
        kept = cache_folder("runtimes", cache_dir)
        self._encoder = open_backbone_runtime(runtime, header, model, device=str(device), cache_dir=kept)
        assert header.preprocess is not None  # models without a backbone were refused
        self._preprocess = header.preprocess
        self.runtime: str = self._encoder.name
        """What encodes, where `auto` was asked for."""
        self.key = features_key(model, header.preprocess, self.runtime)
        """`features_key`"""
        self._cache = FeatureCache(cache_folder("features", cache_dir), self.key)
        self._failures: dict[Part, MediaError] = {}
        self._kept: dict[Part, tuple[FeatureVideo, NDArray[np.float64]]] = {}
        self._free_bytes = _memory_for_features()

    def fill(self, examples: Sequence[E], part_of: Callable[[E], Part], bar: Bar) -> None:
        """Encode what the cache has not, several files at once; a killed process goes on where it stopped."""
        report = extract_all(
            examples,
            part_of,
            self._encoder,
            self._preprocess,
            self._cache,
            batch_size=batch_size_on(self._encoder.device),
            on_progress=lambda done, kept: bar.update(done, kept=kept),
        )
        self._failures |= report.failures

    def _load(self, part: Part) -> tuple[FeatureVideo, NDArray[np.float64]]:
        if part in self._failures:
            raise self._failures[part]
        if part not in self._kept:
            found = load_or_encode(self._encoder, self._preprocess, self._cache, part)
            rows = half_precision(found.features).numpy()
            self._free_bytes -= rows.nbytes
            kept: tuple[NDArray[Any] | Path, ...] = tuple(rows)
            if self._free_bytes < 0:
                kept = self._cache.files(part)
            self._kept[part] = FeatureVideo(0, rows.shape[1], kept), found.times_s
        return self._kept[part]


def _memory_for_features() -> float:
    """Return how many bytes of features may be kept in memory; the rest is read from the cache as needed."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _MEMORY_SHARE
    except (ValueError, AttributeError, OSError):
        return 8 * 2**30 * _MEMORY_SHARE  # where the system does not say
