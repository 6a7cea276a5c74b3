"""Recognise while frames come in: each frame passes the CNN once, and what is remembered is bounded.

Shapes: S streams, V views, D feature size, A classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from lrcn.errors import ConfigError, ShapeError
from lrcn.graphs.state import State, join_states, split_state
from lrcn.inference.recognition.calling import check_top_k
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.runtime import Rows
from lrcn.inference.recognition.windows import Window, WindowBuffer, as_array, is_known, rank_labels
from lrcn.results import Segment
from lrcn.video.flow import FlowImages
from lrcn.video.inputs import ARRAY_FPS, Source, is_source, sampled_frames
from lrcn.video.resize import FrameResizer
from lrcn.video.views import CENTER_VIEW, cut_crops

Mode = Literal["window", "carry"]

_CHUNK_SIZE = 16
"""Frames of a file that are decoded at once."""


@dataclass(frozen=True)
class StreamMemory:
    """All that a stream remembers of its frames: what goes on from it says what the stream would have said.

    Where a model's rows lie on a device, so do these; pickle takes them.
    """

    window: tuple[Rows, int, int, int]
    times_s: tuple[float, ...]
    state: State | None
    flow_last: NDArray[np.uint8] | None
    flow_size: tuple[int, ...]


class StreamingRecognizer:
    """Says what a stream of frames shows, as it comes. Streams that share a recognizer can share CNN calls.

    Examples:
        >>> from importlib.resources import files
        >>> live = StreamingRecognizer(Recognizer.load("demo", device="cpu"))
        >>> [segment.top[0].label for segment in live.stream(str(files("lrcn") / "assets" / "walking.mp4"))]
        ['walk', 'walk', 'walk', 'walk', 'walk', 'walk']
    """

    def __init__(
        self, recognizer: Recognizer, *, mode: Mode = "window", top_k: int = 5, clip_stride: int | None = None
    ) -> None:
        """Take what recognises.

        Args:
            recognizer: Its model, runtime and views; not modified, so that many streams can share one.
            mode: `window` remembers the frames of one window, embedded, and reads each window from zero state: the
                segments are those of an offline run over the same frames. `carry` remembers the state of the LSTM,
                which is never reset: one segment a frame, as of one causal run over the whole stream.
            top_k: Labels to name, most probable first.
            clip_stride: `window` only: frames between the starts of neighbouring windows; None takes the model's own.

        Raises:
            ConfigError: If an option is out of range.
        """
        if mode not in ("window", "carry"):
            raise ConfigError(f"mode must be window or carry, got {mode!r}")
        if mode == "carry" and not recognizer.runtime.has_step:
            head = recognizer.header.model.head
            raise ConfigError(f"mode carry goes frame by frame, the head {head!r} reads whole clips; use mode window")
        check_top_k(top_k)
        if recognizer.header.preprocess.vectors is not None:
            raise ConfigError("a stream is looked at frame by frame, and this model reads ready vectors: use recognize")
        self.recognizer = recognizer
        self.mode = mode
        self._top_k = top_k
        self._stride = recognizer.stride(clip_stride)
        self._resizer = FrameResizer(recognizer.header.preprocess.resize)
        self.reset()

    def reset(self) -> None:
        """Forget all frames: the next one is the first of a new stream."""
        preprocess = self.recognizer.header.preprocess
        self._buffer = WindowBuffer(preprocess.clip_length, self._stride, self.recognizer.runtime.join)
        self._times_s: deque[float] = deque(maxlen=preprocess.clip_length)
        self._state: State | None = None
        self._flow: FlowImages | None = None
        self._flow_size: tuple[int, ...] = ()

    def memory(self) -> StreamMemory:
        """Return what is remembered; it does not change when more frames come."""
        return StreamMemory(
            window=self._buffer.memory(),
            times_s=tuple(self._times_s),
            state=self._state,
            flow_last=None if self._flow is None else self._flow.last,
            flow_size=self._flow_size,
        )

    def remember(self, memory: StreamMemory) -> None:
        """Go on where a stream of the same model and settings was, in this process or another."""
        self.reset()
        self._buffer.remember(memory.window)
        self._times_s.extend(memory.times_s)
        self._state, self._flow_size = memory.state, memory.flow_size
        if memory.flow_last is not None:
            self._flow = FlowImages(self.recognizer.header.preprocess.flow_method)
            self._flow.last = memory.flow_last

    def push(self, frame: NDArray[np.uint8], time_s: float) -> Segment | None:
        """Look at the next frame.

        Args:
            frame: RGB `(H, W, 3)` uint8, of any size, which may change; frames should come at the rate that the model
                samples at (`header.preprocess.sample_fps`).
            time_s: When it is shown, later than the frame before.

        Returns:
            The segment that it completes, if any: in mode `window` a window; in mode `carry` the frame itself. It is
            taken to be shown as long as the frame before it.

        Raises:
            ShapeError: If the frame has another layout or type.
            ConfigError: If the time is not later than the last one.
        """
        return push_together([self], [frame], [time_s])[0]

    def finish(self) -> Segment | None:
        """Return the last window of a stream that is over, if it holds frames that no other did; mode `window` only."""
        left = self._buffer.finish()
        return self._segment(left[0], self.recognizer.window_batch_probs(left)[0]) if left else None

    def stream(self, frames: Source | Iterable[tuple[NDArray[np.uint8], float]]) -> Iterator[Segment]:
        """Yield every segment of a stream as soon as it is there; what was pushed before is forgotten.

        Args:
            frames: A video or picture, as `Recognizer` takes them; or frames with their times, as `push` takes
                them, of a camera for example.

        Raises:
            MediaError: If a video cannot be read.
            ShapeError: As for `push`.
            ConfigError: As for `push`.
        """
        self.reset()
        for frame, time_s in self._timed(frames):
            segment = self.push(frame, time_s)
            if segment is not None:
                yield segment
        last = self.finish()
        if last is not None:
            yield last

    def _timed(
        self, frames: Source | Iterable[tuple[NDArray[np.uint8], float]]
    ) -> Iterable[tuple[NDArray[np.uint8], float]]:
        if not is_source(frames):
            return cast("Iterable[tuple[NDArray[np.uint8], float]]", frames)
        chunks = sampled_frames(frames, self.recognizer.header.preprocess, chunk_size=_CHUNK_SIZE)
        return (pair for chunk in chunks for pair in zip(chunk.frames, chunk.times_s.tolist(), strict=True))

    def _crops(self, frame: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8] | None:
        """Return `(V, crop, crop, 3)`, or None for the first frame of a flow stream."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ShapeError(f"a frame must be RGB (height, width, 3) of uint8, got {frame.shape} of {frame.dtype}")
        if self._times_s and not time_s >= self._times_s[-1]:
            raise ConfigError(f"frames must come in order: {time_s:g} s after {self._times_s[-1]:g} s")
        preprocess = self.recognizer.header.preprocess
        images = self._resizer(frame[None])
        if preprocess.stream == "flow":
            if self._flow is None or images.shape != self._flow_size:  # there is no motion between two sizes
                self._flow, self._flow_size = FlowImages(preprocess.flow_method), images.shape
            images = self._flow.push(images)
            if not len(images):
                return None
        return np.concatenate([cut_crops(images, view, preprocess) for view in self.recognizer.views])

    def _segment(self, window: Window, probs: NDArray[np.float64]) -> Segment:
        times = list(self._times_s)
        fps = self.recognizer.header.preprocess.sample_fps
        step_s = 1 / (fps or ARRAY_FPS) if fps or len(times) < 2 else times[-1] - times[-2]
        return Segment(
            start_s=times[window.start - window.end],
            end_s=times[-1] + step_s,
            top=rank_labels(probs, self.recognizer.labels, self._top_k),
            probs=as_array(probs),
            known=is_known(probs, self.recognizer.labels, self.recognizer.unknown_below),
        )


def push_together(
    streams: Sequence[StreamingRecognizer], frames: Sequence[NDArray[np.uint8]], times_s: Sequence[float]
) -> list[Segment | None]:
    """Push one frame to each of several streams, with one CNN call for all of them.

    Args:
        streams: Different ones, of one recognizer and one mode.
        frames: As for `StreamingRecognizer.push`, one for each stream.
        times_s: As for `StreamingRecognizer.push`, one for each stream.

    Returns:
        What `push` returns, for each stream.

    Raises:
        ConfigError: If the streams do not share recognizer and mode.
        ShapeError: As for `StreamingRecognizer.push`; no stream has taken its frame then.
    """
    if len({(id(stream.recognizer), stream.mode) for stream in streams}) != 1 or len(set(streams)) != len(streams):
        raise ConfigError("streams are pushed together if they are different ones of one recognizer and one mode")
    crops = [stream._crops(frame, time_s) for stream, frame, time_s in zip(streams, frames, times_s, strict=True)]
    found: list[Segment | None] = [None] * len(streams)
    ready = [i for i, part in enumerate(crops) if part is not None]
    if not ready:
        return found
    recognizer = streams[0].recognizer
    images = np.concatenate([part for part in crops if part is not None])
    for i in ready:
        streams[i]._times_s.append(times_s[i])
    windows: list[tuple[int, Window]] = []
    if streams[0].mode == "window":
        embedded = recognizer.runtime.embed_images(images, CENTER_VIEW)
        num_views = len(recognizer.views)
        for place, i in enumerate(ready):
            rows = embedded[place * num_views : (place + 1) * num_views]
            windows += [(i, window) for window in streams[i]._buffer.push(rows[None])]
        probs = recognizer.window_batch_probs([window for _, window in windows]) if windows else np.empty((0, 0))
    else:
        features = recognizer.runtime.encode(images, CENTER_VIEW)
        probs = _carry(recognizer, [streams[i] for i in ready], features)
        windows = [(i, Window(0, 1, rows[None])) for i, rows in zip(ready, np.split(features, len(ready)), strict=True)]
    for (i, window), of_window in zip(windows, probs, strict=True):
        found[i] = streams[i]._segment(window, of_window)
    return found


def _carry(
    recognizer: Recognizer, streams: Sequence[StreamingRecognizer], features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Advance the state of each stream, `(S V, D)` features, and return the mean over its views, `(S, A)`."""
    runtime, num_views = recognizer.runtime, len(recognizer.views)
    states = [runtime.initial_state(num_views) if s._state is None else s._state for s in streams]
    probs, after = runtime.step(features, join_states(states))
    for stream, state in zip(streams, split_state(after, len(streams)), strict=True):
        stream._state = state
    return recognizer.joined_views(probs, len(streams))
