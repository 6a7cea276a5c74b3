"""Fill a feature cache from many files: threads decode several at once, their frames share the CNN's batches.

Shapes: V views, T frames of a video, N crops of a batch, D feature size.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.encoding import FrameEncoder
from lrcn.errors import MediaError
from lrcn.features import Part, VideoFeatures
from lrcn.video.ahead import num_processors
from lrcn.video.inputs import network_images
from lrcn.video.views import CENTER_VIEW, cut_crops

BATCH_SIZE, _GPU_BATCH_SIZE = 16, 64
"""Crops that pass through the CNN at once. On a CPU, with 64 the packaged backbone falls out of the processor's caches
(a fifth slower) and AlexNet gains nothing; smaller batches are slower everywhere."""

_CHUNK_SIZE = 32
"""Frames of one file that are decoded before they are handed over."""


@dataclass
class ExtractionReport:
    """What `extract_all` did."""

    encoded: int = 0
    """Parts that went through the CNN."""
    kept: int = 0
    """Parts whose features were there already."""
    failures: dict[Part, MediaError] = field(default_factory=dict)
    """Parts that could not be read, and why."""


class FeatureStore(Protocol):
    """Where features go; `FeatureCache` is one."""

    def has(self, part: Part) -> bool:
        """Whether the features of a part are there."""

    def put(self, part: Part, encoded: VideoFeatures) -> None:
        """Keep the features of a part, whole or not at all."""


def batch_size_on(device: str) -> int:
    """Return how many crops should pass through the CNN at once on a torch device."""
    return BATCH_SIZE if device == "cpu" else _GPU_BATCH_SIZE


T = TypeVar("T")


def extract_all(
    items: Sequence[T],
    part_of: Callable[[T], Part],
    encoder: FrameEncoder,
    preprocess: PreprocessConfig,
    cache: FeatureStore,
    *,
    batch_size: int = BATCH_SIZE,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ExtractionReport:
    """Put the features of every part into the cache, unless they are there; a part appears whole or not at all.

    So a run that was killed goes on where it stopped. Every batch has the same number of crops, of whatever files come
    next, the last one filled up with zeros: a CNN may round otherwise in batches of other sizes, and features must not
    depend on which files were left to do.

    Args:
        items: What parts are wanted of.
        part_of: Says which; called in a thread of its own, for reading a file takes time. A `MediaError` that it
            raises leaves the item out of the report.
        encoder: Runs the CNN, in the calling thread.
        preprocess: What the network's pixels must look like.
        cache: Where features go.
        batch_size: Crops that pass through the CNN at once.
        workers: Files decoded at once; by default one a processor.
        on_progress: Called with the items done, and how many of them needed no work.

    Raises:
        OSError: If the cache cannot be written.
    """
    report = ExtractionReport()
    progress = on_progress or (lambda done, kept: None)
    batches = _Batches(encoder, preprocess.crop, batch_size, cache, report)
    done = left_out = 0
    with _Decoders(items, part_of, preprocess, cache, workers or num_processors()) as decoded:
        for event in decoded:
            if isinstance(event, _Crops):
                batches.push(event)
            elif isinstance(event, _Ended):
                batches.end(event)
            elif event.part is None:
                left_out += 1
            elif event.error is None:
                report.kept += 1
            else:
                batches.drop(event.part)
                report.failures[event.part] = event.error
            finished = report.encoded + report.kept + len(report.failures) + left_out
            if finished > done:
                done = finished
                progress(done, report.kept)
        batches.flush()
        progress(len(items), report.kept)
    return report


@dataclass(frozen=True)
class _Crops:
    """The next frames of a part, seen in one way."""

    part: Part
    view: int
    images: NDArray[np.uint8]
    """`(N, crop, crop, 3)`, or uncropped where the view is squashed."""


@dataclass(frozen=True)
class _Ended:
    """A part of which all crops were handed over."""

    part: Part
    times_s: NDArray[np.float64]
    duration_s: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _NotDone:
    """A part that needs no CNN, because it is in the cache or cannot be read; None if it is not even known."""

    part: Part | None
    error: MediaError | None = None


_Event = _Crops | _Ended | _NotDone


class _Decoders(Generic[T]):
    """Threads that each take the next item and hand over its crops; memory is bounded by what they may hand over."""

    def __init__(
        self,
        items: Sequence[T],
        part_of: Callable[[T], Part],
        preprocess: PreprocessConfig,
        cache: FeatureStore,
        workers: int,
    ) -> None:
        self._items = iter(items)
        self._part_of = part_of
        self._preprocess = preprocess
        self._cache = cache
        self._lock = threading.Lock()
        self._claimed: set[Part] = set()
        self._stopped = threading.Event()
        self._events: queue.Queue[_Event | BaseException | None] = queue.Queue(maxsize=2 * workers)
        self._threads = [
            threading.Thread(target=self._work, name=f"lrcn-decode-{number}", daemon=True)
            for number in range(min(workers, len(items)))
        ]

    def __enter__(self) -> Iterator[_Event]:
        for thread in self._threads:
            thread.start()
        return self._handed_over()

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            while thread.is_alive():  # it may wait for room
                try:
                    self._events.get(timeout=0.05)
                except queue.Empty:
                    continue
            thread.join()

    def _handed_over(self) -> Iterator[_Event]:
        working = len(self._threads)
        while working:
            event = self._events.get()
            if event is None:
                working -= 1
            elif isinstance(event, BaseException):
                raise event
            else:
                yield event

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    with self._lock:
                        item = next(self._items)
                except StopIteration:
                    break
                self._decode(item)
        except BaseException as exc:
            self._events.put(exc)
        finally:
            self._events.put(None)

    def _decode(self, item: T) -> None:
        part = None
        try:
            part = self._part_of(item)
            with self._lock:
                is_new = part not in self._claimed
                self._claimed.add(part)
            if not is_new or self._cache.has(part):
                self._events.put(_NotDone(part))
                return
            self._events.put(self._crops(part))
        except MediaError as exc:
            self._events.put(_NotDone(part, exc))

    def _crops(self, part: Part) -> _Event:
        warnings: list[str] = []
        times_s = []
        images = network_images(
            part.path,
            self._preprocess,
            start_s=part.start_s,
            end_s=part.end_s,
            roi=part.roi,
            chunk_size=_CHUNK_SIZE,
            on_warning=warnings.append,
        )
        duration_s = 0.0
        for chunk in images:
            for number, view in enumerate(part.views):
                crops = chunk.frames if view.squash else cut_crops(chunk.frames, view, self._preprocess)
                self._events.put(_Crops(part, number, crops))
            times_s.append(chunk.times_s)
            duration_s = chunk.end_s
            if self._stopped.is_set():
                break
        return _Ended(part, np.concatenate(times_s), duration_s, tuple(warnings))


@dataclass
class _Open:
    """A part on its way."""

    features: list[list[NDArray[np.float32]]]
    """Of each view, in order."""
    waiting: int = 0
    """Crops that have not been through the CNN."""
    ended: _Ended | None = None


class _Batches:
    """Joins the crops of several parts into batches of one size, and puts the features of finished parts away."""

    def __init__(
        self, encoder: FrameEncoder, crop: int, batch_size: int, cache: FeatureStore, report: ExtractionReport
    ) -> None:
        self._encode = encoder.encode
        self._cache = cache
        self._report = report
        self._open: dict[Part, _Open] = {}
        self._batch = np.zeros((batch_size, crop, crop, 3), np.uint8)
        self._filled: list[tuple[Part, int, int]] = []  # part, view, crops
        self._count = 0

    def push(self, crops: _Crops) -> None:
        """Add crops, and encode what fills a batch."""
        part = crops.part
        progress = self._open.setdefault(part, _Open([[] for _ in part.views]))
        if part.views[crops.view].squash:  # no crop of the frame's own pixels: it has a batch of its own
            progress.features[crops.view].append(self._encode(crops.images, part.views[crops.view]))
            return
        progress.waiting += len(crops.images)
        rest = crops.images
        while len(rest):
            taken = rest[: len(self._batch) - self._count]
            self._batch[self._count : self._count + len(taken)] = taken
            self._filled.append((part, crops.view, len(taken)))
            self._count += len(taken)
            rest = rest[len(taken) :]
            if self._count == len(self._batch):
                self.flush()

    def flush(self) -> None:
        """Encode what waits."""
        if not self._count:
            return
        self._batch[self._count :] = 0
        features = self._encode(self._batch, CENTER_VIEW)
        first = 0
        for part, view, number in self._filled:
            if (progress := self._open.get(part)) is not None:  # else it turned out to be unreadable
                progress.features[view].append(features[first : first + number].copy())
                progress.waiting -= number
                self._keep_if_complete(part, progress)
            first += number
        self._filled.clear()
        self._count = 0

    def end(self, ended: _Ended) -> None:
        """Note that a part has no more crops."""
        progress = self._open[ended.part]
        progress.ended = ended
        self._keep_if_complete(ended.part, progress)

    def drop(self, part: Part) -> None:
        """Forget a part that cannot be read to its end."""
        self._open.pop(part, None)

    def _keep_if_complete(self, part: Part, progress: _Open) -> None:
        if progress.ended is None or progress.waiting:
            return
        rows = np.stack([np.concatenate(chunks) for chunks in progress.features])
        ended = progress.ended
        encoded = VideoFeatures(torch.from_numpy(rows), ended.times_s, ended.duration_s, ended.warnings)
        self._cache.put(part, encoded)
        del self._open[part]
        self._report.encoded += 1
