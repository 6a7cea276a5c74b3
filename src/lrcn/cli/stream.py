"""`lrcn stream`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts.types import PositiveFloat, PositiveInt

from lrcn.cli.exits import ERROR, UsageError, exit_code_after, fail
from lrcn.cli.options import Device, Json, Model, Quiet, RuntimeName, UnknownBelow
from lrcn.cli.terminal import print_json, remark
from lrcn.errors import MediaError
from lrcn.results import Segment, named

if TYPE_CHECKING:
    from lrcn.inference.recognition.predictor import Recognizer
    from lrcn.inference.recognition.streaming import StreamingRecognizer
    from lrcn.video.live import LiveSource
    from lrcn.video.resize import Frames

_IDLE_S = 1.0
"""How long to wait for a frame before looking around again."""


def stream(
    *sources: str,
    model: Model = "demo",
    mode: Literal["window", "carry"] = "window",
    top_k: PositiveInt = 3,
    clip_stride: PositiveInt | None = None,
    max_age: PositiveFloat = 1.0,
    unknown_below: UnknownBelow = None,
    json_output: Json = False,
    device: Device = "auto",
    runtime: RuntimeName = None,
    quiet: Quiet = False,
) -> int:
    """Say what cameras show, as it happens.

    A line is printed as soon as a window of frames is full. Where frames come faster than this machine can look at
    them, old ones are dropped and counted, so that what is said stays up to date. A camera that is lost is tried again,
    waiting longer each time, while the others go on. Ends with Ctrl-C, or when all sources are files and read.

    Args:
        sources: Cameras (`0` is the first one), addresses (`rtsp://...`, `http://.../video.mjpg`), or video files,
            which are read as fast as they can be. Frames of several sources go through the CNN together.
        mode: `window` reads each window of frames by itself, as `lrcn recognize` does; `carry` never forgets and says
            something at every frame.
        top_k: Labels to name, most probable first.
        clip_stride: Frames between the starts of neighbouring windows. Left out, the model's own.
        max_age: Seconds that a frame of a camera may wait before it is dropped.
    """
    if not sources:
        raise UsageError("name a camera, an address or a file; try: lrcn stream --help")
    if max_age <= 0:
        raise UsageError(f"--max-age must be above 0, got {max_age:g}")
    from lrcn.inference.recognition.predictor import Recognizer
    from lrcn.inference.recognition.streaming import StreamingRecognizer

    recognizer = Recognizer.load(model, device=device, runtime=runtime, batch_size=1)
    if unknown_below is not None:
        recognizer.unknown_below = unknown_below
    wake = threading.Event()
    feeds: list[_Feed] = []
    failures: list[str] = []
    for source in dict.fromkeys(sources):
        streaming = StreamingRecognizer(recognizer, mode=mode, top_k=top_k, clip_stride=clip_stride)
        try:
            feeds.append(_Feed(source, streaming, *_frames_of(source, recognizer, max_age, wake, quiet=quiet)))
        except MediaError as exc:
            failures.append(str(exc))
            fail(str(exc), ERROR)
    num_open = len(feeds)
    show = _Printer(many=len(sources) > 1, as_json=json_output)
    try:
        failures += _run(feeds, wake, show)
    finally:
        for feed in feeds:
            feed.close(quiet=quiet)
    return exit_code_after(num_open - (len(failures) - (len(set(sources)) - num_open)), failures, "sources", told=True)


@dataclass
class _Feed:
    """One source, and what looks at it."""

    source: str
    streaming: StreamingRecognizer
    frames: Iterator[tuple[Frames, float, int] | None]
    """Yields None while no frame is there."""
    live: LiveSource | None
    ended: bool = False
    looked_at: int = 0
    connection: int = 0

    def close(self, *, quiet: bool) -> None:
        text = f"{self.source}: {self.looked_at} frames"
        if self.live is not None:
            self.live.close()
            text += f", {self.live.dropped} dropped, reconnected {self.live.reconnects} times"
        remark(text, quiet=quiet)


def _run(feeds: list[_Feed], wake: threading.Event, show: _Printer) -> list[str]:
    """Feed frames until all sources have ended; return why some could not be read to their end."""
    from lrcn.inference.recognition.streaming import push_together

    failures: list[str] = []
    while running := [feed for feed in feeds if not feed.ended]:
        wake.clear()
        ready: list[_Feed] = []
        given: list[tuple[Frames, float]] = []
        for feed in running:
            try:
                frame = next(feed.frames)
            except (StopIteration, MediaError) as exc:
                feed.ended = True
                if isinstance(exc, MediaError):
                    failures.append(str(exc))
                    fail(str(exc), ERROR)  # at once: other sources may never end
                show(feed.source, feed.streaming.finish())
                continue
            if frame is None:
                continue
            pixels, time_s, connection = frame
            if connection != feed.connection:  # frames are missing: no window may span the gap
                feed.streaming.reset()
                feed.connection = connection
            feed.looked_at += 1
            ready.append(feed)
            given.append((pixels, time_s))
        if ready:
            segments = push_together([f.streaming for f in ready], [p for p, _ in given], [t for _, t in given])
            for feed, segment in zip(ready, segments, strict=True):
                show(feed.source, segment)
        elif any(not feed.ended for feed in feeds):
            wake.wait(_IDLE_S)
    return failures


def _frames_of(
    source: str, recognizer: Recognizer, max_age_s: float, wake: threading.Event, *, quiet: bool
) -> tuple[Iterator[tuple[Frames, float, int] | None], LiveSource | None]:
    from lrcn.video.ahead import read_ahead
    from lrcn.video.live import LiveSource, is_live
    from lrcn.video.read import probe, read_frames

    preprocess = recognizer.header.preprocess
    if not is_live(source):
        probe(source)  # what cannot be read is told before anything is waited for
        chunks = read_frames(Path(source), sample_fps=preprocess.sample_fps, resize=preprocess.resize, chunk_size=16)
        return (
            (pixels, float(time_s), 0)
            for chunk in read_ahead(chunks)
            for pixels, time_s in zip(chunk.frames, chunk.times_s, strict=True)
        ), None
    live = LiveSource(
        source,
        sample_fps=preprocess.sample_fps,
        resize=preprocess.resize,
        max_age_s=max_age_s,
        wake=wake,
        on_event=lambda text: remark(f"lrcn: {text}", quiet=quiet),
    )

    def frames() -> Iterator[tuple[Frames, float, int] | None]:
        while True:
            frame = live.take()
            yield None if frame is None else (frame.pixels, frame.time_s, frame.connection)

    return frames(), live


class _Printer:
    """Prints a segment as soon as it is there."""

    def __init__(self, *, many: bool, as_json: bool) -> None:
        self._many = many
        self._as_json = as_json

    def __call__(self, source: str, segment: Segment | None) -> None:
        if segment is None:
            return
        if self._as_json:
            print_json({"source": source, **segment.to_dict()})
            return
        best, *others = segment.top
        labels = named(best.label, known=segment.known, share=_percent(best.prob))
        labels = ", ".join([labels, *(f"{entry.label} {_percent(entry.prob)}" for entry in others)])
        where = f"{source}  " if self._many else ""
        print(f"{where}{segment.start_s:.1f} - {segment.end_s:.1f} s  {labels}", flush=True)


def _percent(prob: float) -> str:
    return f"{100 * prob:.0f} %"
