"""Recognise actions: a model file and a video in, a result out.

Each frame is decoded once and goes through the CNN once; windows are cut from the features as they arrive. So memory
stays bounded however long the video is, and overlapping windows cost no second CNN pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from lrcn import model_file
from lrcn.bouts import Region
from lrcn.config import RecognitionHeader
from lrcn.encoding import EncodedChunk, encode_chunks
from lrcn.errors import ConfigError
from lrcn.files import cache_folder
from lrcn.graphs.exported import is_exported
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.inference.recognition.graph_runtime import open_exported
from lrcn.inference.recognition.runtime import Rows, Runtime
from lrcn.inference.recognition.windows import Window, WindowBuffer, WindowProbs
from lrcn.metrics.calibration import calibrated
from lrcn.model_file.shipped import DEMO
from lrcn.model_file.storage import name_of_model
from lrcn.tasks import RECOGNITION
from lrcn.video.inputs import Source
from lrcn.video.views import CENTER_VIEW, View

if TYPE_CHECKING:
    from lrcn.features import VideoFeatures
    from lrcn.models.recognition import RecognitionModel

WINDOW_BATCH = 64
"""Windows that go through the LSTM at once: past this it gets no faster."""

_WINDOW_BYTES = 2**27
"""Fewer windows go at once where they are larger together."""


class Recognizer(VideoRecognizer):
    """Says what happens in videos, and when. Call it with a video, or with a list of videos."""

    def __init__(
        self,
        header: RecognitionHeader,
        model: RecognitionModel | Runtime,
        *,
        name: str = "",
        device: str = "cpu",
        batch_size: int = 64,
        views: Sequence[View] = (CENTER_VIEW,),
    ) -> None:
        """Take a loaded model; `Recognizer.load` is the short way.

        Args:
            header: What its file says about it: labels, pixels, windows.
            model: The network, which is moved to the device; or what runs it.
            name: Goes into the results.
            device: Where a network runs; a runtime knows its own.
            batch_size: Frames that go through the CNN at once; lower it if memory runs out.
            views: Crops of each frame whose probabilities are averaged; `TEN_CROP_VIEWS` are the paper's ten.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        if header.preprocess.vectors is not None and tuple(views) != (CENTER_VIEW,):
            raise ConfigError(f"{name or 'model'}: reads ready vectors, which have no crops: leave crops and views out")
        self.header = header
        self.name = name
        self.unknown_below = 0.0 if header.calibration is None else header.calibration.unknown_below
        self.views = tuple(views)
        """Crops of each frame whose probabilities are averaged."""
        self._batch_size = batch_size
        if not isinstance(model, Runtime):
            from lrcn.inference.recognition.torch_runtime import TorchRuntime

            model = TorchRuntime(model, header.preprocess, device=device)
        self.runtime = model
        """What runs the network."""

    @classmethod
    def load(
        cls,
        model: str | Path = DEMO,
        *,
        device: str = "auto",
        runtime: str | None = None,
        batch_size: int = 64,
        views: Sequence[View] = (CENTER_VIEW,),
        cache_dir: Path | None = None,
    ) -> Self:
        """Return a recognizer ready to be called; arguments and errors as for `lrcn.load`.

        An exported folder runs without torch.

        Examples:
            >>> from importlib.resources import files
            >>> clip = str(files("lrcn") / "assets" / "walking.mp4")
            >>> Recognizer.load("demo", device="cpu")(clip).label
            'walk'

        Raises:
            TaskMismatchError: If the model was made for another task.
        """
        if is_exported(model):
            exported = open_exported(model, runtime=runtime, device=device)
            return cls(exported.header, exported, name=name_of_model(model), batch_size=batch_size, views=views)
        from lrcn.devices import choose_device

        target = str(choose_device(device))
        header, network = model_file.load(model, task=RECOGNITION, device=target)
        runs: RecognitionModel | Runtime = network
        if runtime is not None:
            from lrcn.inference.recognition.opening import open_runtime

            kept = cache_folder("runtimes", cache_dir)
            runs = open_runtime(runtime, header, network, device=target, cache_dir=kept, frames_at_once=batch_size)
        return cls(header, runs, name=name_of_model(model), device=target, batch_size=batch_size, views=views)

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; the position is the label id."""
        return self.header.labels

    @property
    def about(self) -> dict[str, str]:
        """`name` and `sha256` of the model file and the `runtime` that runs it, as results name them."""
        return {"name": self.name, "sha256": self.header.sha256, "runtime": self.runtime.name}

    def __repr__(self) -> str:
        return f"<Recognizer {self.name or 'unnamed'}: {len(self.labels)} labels on {self.runtime.device}>"

    def window_probs(
        self,
        source: Source,
        *,
        clip_stride: int | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        timing_s: dict[str, float] | None = None,
        on_progress: Callable[[float], None] | None = None,
        drop_first: bool = False,
    ) -> WindowProbs:
        """As `VideoRecognizer.window_probs`; the stages are `features` (decoding and the CNN), `windows` and `total`.

        `drop_first` leaves out the first frame, which has no flow image, unless it is the only one.
        """
        began = time.perf_counter()
        reading = WindowReading(self, self.stride(clip_stride))
        warnings: list[str] = []
        for chunk in self._chunks(source, start_s, end_s, roi, warnings, drop_first=drop_first):
            reading.push(chunk)
            if on_progress is not None:
                on_progress(float(chunk.times_s[-1]))
        found = reading.finish(warnings)
        if timing_s is not None:
            total_s = time.perf_counter() - began
            timing_s.update(features=total_s - reading.spent_s, windows=reading.spent_s, total=total_s)
        return found

    def encoded_probs(self, encoded: VideoFeatures, *, clip_stride: int | None = None) -> WindowProbs:
        """Return what `window_probs` does, of a video whose frames have been through the CNN in each of the `views`.

        Raises:
            ConfigError: If `clip_stride` is out of range.
        """
        reading = WindowReading(self, self.stride(clip_stride))
        rows = tuple(self.runtime.embedded(view) for view in encoded.features.numpy())
        reading.push(EncodedChunk(rows, encoded.times_s, encoded.duration_s))
        return reading.finish(encoded.warnings)

    def _chunks(
        self,
        source: Source,
        start_s: float,
        end_s: float | None,
        roi: Region | None,
        warnings: list[str],
        *,
        drop_first: bool,
    ) -> Iterator[EncodedChunk[Rows]]:
        chunks = encode_chunks(
            source,
            self.runtime.embed_images,
            self.header.preprocess,
            self.views,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            chunk_size=self._batch_size,
            on_warning=warnings.append,
        )
        if not drop_first:
            yield from chunks
            return
        only: EncodedChunk[Rows] | None = None
        for number, chunk in enumerate(chunks):
            if number > 0:
                yield chunk
            elif len(chunk.times_s) > 1:
                yield replace(
                    chunk, features=tuple(features[1:] for features in chunk.features), times_s=chunk.times_s[1:]
                )
            else:
                only = chunk
                continue
            only = None
        if only is not None:
            yield only

    def window_batch_probs(self, windows: Sequence[Window]) -> NDArray[np.float64]:
        """Return the class probabilities `(N, A)` of windows of one length: of embedded frames `(length, V, G)`."""
        clips = self.runtime.join([window.frames[None] for window in windows])  # (N, L, V, G)
        num_windows, length, num_views, size = clips.shape
        probs = self.runtime.clip_probs(clips.swapaxes(1, 2).reshape(num_windows * num_views, length, size))
        return self.joined_views(probs, num_windows)

    def joined_views(self, probs: NDArray[np.float32], number: int) -> NDArray[np.float64]:
        """Return the calibrated probabilities `(number, A)` from those of the views of each, `(number V, A)`."""
        means: NDArray[np.float64] = probs.astype(np.float64).reshape(number, -1, probs.shape[1]).mean(axis=1)
        return calibrated(means, self.header.calibration)

    def stride(self, clip_stride: int | None) -> int:
        """Return the frames between the starts of neighbouring windows; None stands for the model's own.

        Raises:
            ConfigError: If it is out of range.
        """
        preprocess = self.header.preprocess
        if clip_stride is None:
            return preprocess.clip_stride
        if not 1 <= clip_stride <= preprocess.clip_length:
            raise ConfigError(
                f"clip_stride must be between 1 and the model's clip_length ({preprocess.clip_length}), "
                f"got {clip_stride}: a larger stride would skip frames silently"
            )
        return clip_stride


class WindowReading:
    """The windows of a sequence of frames, and what a model says of them, while the frames come in."""

    def __init__(self, recognizer: Recognizer, clip_stride: int) -> None:
        """Read with a recognizer; `clip_stride` is the number of frames between the starts of windows."""
        self._recognizer = recognizer
        self._buffer = WindowBuffer(recognizer.header.preprocess.clip_length, clip_stride, recognizer.runtime.join)
        self._waiting: list[Window] = []
        self._windows: list[tuple[int, int]] = []
        self._probs: list[NDArray[np.float64]] = []
        self._times_s: list[NDArray[np.float64]] = []
        self._end_s = 0.0
        self.spent_s = 0.0
        """Seconds, on windows."""

    def push(self, chunk: EncodedChunk[Rows]) -> None:
        """Add the next frames, embedded in each of the views."""
        # views side by side, so that a window holds the same frames of all of them: (n, V, G)
        frames = self._recognizer.runtime.join([features[:, None] for features in chunk.features], axis=1)
        self._waiting += self._buffer.push(frames)
        self._times_s.append(chunk.times_s)
        self._end_s = chunk.end_s
        if len(self._waiting) >= WINDOW_BATCH:
            self._empty_waiting()

    def finish(self, warnings: Sequence[str] = (), *, subject: str = "") -> WindowProbs:
        """Return what was said, once all frames are there, one at least."""
        self._waiting += self._buffer.finish()
        self._empty_waiting()
        probs, times_s = np.concatenate(self._probs), np.concatenate(self._times_s)
        return WindowProbs(tuple(self._windows), probs, times_s, self._end_s, tuple(warnings), subject)

    def _empty_waiting(self) -> None:
        start = time.perf_counter()
        waiting = self._waiting
        # all of one length: a short window comes only from a short video, and then it is the only one
        at_once = max(1, min(WINDOW_BATCH, _WINDOW_BYTES // waiting[0].frames.nbytes)) if waiting else 1
        for first in range(0, len(waiting), at_once):
            self._probs.append(self._recognizer.window_batch_probs(waiting[first : first + at_once]))
        self._windows.extend((window.start, window.end) for window in waiting)
        waiting.clear()
        self.spent_s += time.perf_counter() - start
