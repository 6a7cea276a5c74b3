"""What a process does with each kind of job: the predictors that the command line uses, on uploads and streams."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrcn.errors import ConfigError, MediaError
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.inference.recognition.bouts import bout_stride, default_settings, own_windows, with_overrides
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.serving.jobs import Job, Upload
from lrcn.video.read import read_frames
from lrcn.video.views import TEN_CROP_VIEWS

if TYPE_CHECKING:
    from lrcn.inference.captioning.predictor import Captioner

_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Said:
    """What a job gave."""

    body: str
    """JSON, as the command line writes it; empty where there is nothing to say."""
    memory: bytes = b""


def recognize(recognizer: Recognizer, job: Job, on_progress: Callable[[float], None]) -> Said:
    """As `lrcn recognize` with one video, or, with `bouts`, as with `--bouts`."""
    (upload,) = job.uploads
    settings = dict(job.settings)
    recognizer = copy.copy(recognizer)  # what is set below holds for this request
    if (unknown_below := settings.pop("unknown_below")) is not None:
        recognizer.unknown_below = unknown_below
    if settings.pop("crops") == 10:
        recognizer.views = TEN_CROP_VIEWS
    finding = {name: settings.pop(name) for name in ("threshold", "smooth_s", "shortest_s", "longest_gap_s")}
    if not settings.pop("bouts"):
        if given := [name for name, value in finding.items() if value is not None]:
            raise ConfigError(f"{given[0]} is about bouts: give bouts=true, too")
        return _said(recognizer(upload.path, **settings, on_progress=on_progress), upload)
    if settings["clip_stride"] is not None:
        raise ConfigError("clip_stride is about windows, and bouts have a stride of their own: leave one of them out")
    top_k = settings.pop("top_k")
    timing_s: dict[str, float] = {}
    settings["clip_stride"] = bout_stride(recognizer.header.preprocess)
    windows = recognizer.window_probs(upload.path, **settings, timing_s=timing_s, on_progress=on_progress)
    bouts = with_overrides(default_settings(recognizer.header, recognizer.unknown_below), **finding)
    found = recognizer.bouts_in(windows, bouts).bouts
    own = own_windows(windows, recognizer.header.preprocess)
    result = recognizer.as_result(own, upload.path, top_k=top_k, timing_s=timing_s)
    in_order = tuple(sorted(found, key=lambda bout: (bout.start_s, bout.end_s)))
    return _said(replace(result, bouts=in_order), upload)


def caption(captioner: Captioner, job: Job, on_progress: Callable[[float], None]) -> Said:
    """As `lrcn caption` with one picture or video."""
    (upload,) = job.uploads
    settings = dict(job.settings)
    start_s, end_s, segment_s = settings.pop("start_s"), settings.pop("end_s"), settings.pop("segment_s")
    search = CaptionSearch(**settings)
    if start_s or end_s is not None:
        result = captioner(
            upload.path, segment_s=segment_s, start_s=start_s, end_s=end_s, search=search, on_progress=on_progress
        )
    else:  # as the command line does it, which rounds otherwise
        (result,) = captioner.stream(
            [upload.path], segment_s=segment_s, search=search, on_progress=lambda _, done_s: on_progress(done_s)
        )
    return _said(result, upload)


def retrieve(captioner: Captioner, job: Job, on_progress: Callable[[float], None]) -> Said:
    """As `lrcn retrieve`: pictures for sentences, or, where one upload is `image`, sentences for it."""
    from lrcn.inference.captioning.retriever import Retriever

    retriever = Retriever(captioner)
    paths, settings = [upload.path for upload in job.uploads], dict(job.settings)
    texts, of_image = settings.pop("texts"), settings.pop("of_image")
    if of_image:
        results = [retriever.rank_captions(paths[0], texts, background=paths[1:], **settings)]
    else:
        ranked = retriever.rank_images_for(texts, paths, **settings)
        names = [upload.name for upload in job.uploads]  # which, unlike paths, may be equal
        results = [
            replace(one, matches=tuple(replace(match, item=names[match.index]) for match in one.matches))
            for one in ranked
        ]
    bodies = ", ".join(_said(result, *job.uploads).body for result in results)
    return Said(f'{{"results": [{bodies}]}}')


def stream(recognizer: Recognizer, job: Job, on_progress: Callable[[float], None]) -> Said:
    """Push a frame into a stream; without a frame, begin it, or end it where it has a memory."""
    settings = dict(job.settings)
    size, time_s = settings.pop("size"), settings.pop("time_s")
    streaming = StreamingRecognizer(recognizer, **settings)
    if job.memory:
        streaming.remember(pickle.loads(job.memory))  # this program's own, which no client sees
    segment = streaming.push(_pixels(job.frame, size), time_s) if job.frame else streaming.finish()
    memory = pickle.dumps(streaming.memory(), protocol=pickle.HIGHEST_PROTOCOL)
    return Said("" if segment is None else json.dumps(segment.to_dict(), ensure_ascii=False), memory)


ANSWERS: dict[str, Callable[[Any, Job, Callable[[float], None]], Said]] = {
    "recognize": recognize,
    "caption": caption,
    "retrieve": retrieve,
    "stream": stream,
}
"""Kind of job -> what answers it."""


def _pixels(frame: bytes, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return a frame as RGB `(H, W, 3)`: a JPEG, or raw values where its `(height, width)` is known."""
    if size is not None:
        if len(frame) != size[0] * size[1] * 3:
            raise MediaError(
                f"a raw frame of {size[1]}x{size[0]} px has {size[0] * size[1] * 3} bytes (RGB), got {len(frame)}"
            )
        return np.frombuffer(frame, np.uint8).reshape(*size, 3)
    if not frame.startswith(_JPEG):
        raise MediaError("a frame must be a JPEG; for raw RGB values say width and height when you connect")
    chunk, *_ = read_frames(io.BytesIO(frame))
    pixels: NDArray[np.uint8] = chunk.frames[0]
    return pixels


def _said(result: Any, *uploads: Upload) -> Said:
    """Return a result as JSON, with the clients' names of its files in place of ours."""
    if hasattr(result, "source"):
        result = replace(result, source=uploads[0].name)
    else:
        result = replace(result, query=renamed(result.query, uploads))
    return Said(replace(result, warnings=tuple(renamed(text, uploads) for text in result.warnings)).to_json())


def renamed(text: str, uploads: tuple[Upload, ...]) -> str:
    """Return a message with the clients' names of uploads in place of our paths."""
    for upload in uploads:
        text = text.replace(str(upload.path), upload.name)
    return text
