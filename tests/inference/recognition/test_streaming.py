from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import textured_frames

from lrcn import model_file
from lrcn.config import Calibration, PreprocessConfig
from lrcn.errors import ConfigError, LRCNError
from lrcn.graphs.state import State
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.runtime import Runtime
from lrcn.inference.recognition.streaming import Mode, StreamingRecognizer, push_together
from lrcn.results import Segment
from lrcn.video.read import read_all
from lrcn.video.transforms import Preprocess
from lrcn.video.views import TEN_CROP_VIEWS


@pytest.fixture
def rec(tiny_model: Path) -> Recognizer:
    return Recognizer.load(tiny_model, device="cpu")


def stream_of(streaming: StreamingRecognizer, frames: Sequence[np.ndarray], fps: float = 10) -> list[Segment]:
    segments = [streaming.push(frame, t / fps) for t, frame in enumerate(frames)]
    return [segment for segment in [*segments, streaming.finish()] if segment is not None]


def assert_same(found: Sequence[Segment], expected: Sequence[Segment], atol: float = 1e-6) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s))
        assert [e.label for e in one.top] == [e.label for e in other.top]
        np.testing.assert_allclose([e.prob for e in one.top], [e.prob for e in other.top], atol=atol)


@pytest.mark.parametrize("stride", [None, 1, 3, 4])
@pytest.mark.parametrize("num_frames", [20, 19, 4, 3, 1])
def test_windows_are_those_of_an_offline_run(
    rec: Recognizer, frames20: np.ndarray, stride: int | None, num_frames: int
) -> None:
    frames = frames20[:num_frames]
    found = stream_of(StreamingRecognizer(rec, clip_stride=stride), frames)
    assert_same(found, rec(frames, clip_stride=stride).segments)


@pytest.mark.parametrize("mode", ["window", "carry"])
def test_a_calibration_corrects_streams_as_it_does_files(rec: Recognizer, frames20: np.ndarray, mode: Mode) -> None:
    calibration = Calibration(temperature=2.0, unknown_below=0.5)
    corrected = Recognizer(replace(rec.header, calibration=calibration), rec.runtime)
    found = stream_of(StreamingRecognizer(corrected, mode=mode), frames20)
    plain = stream_of(StreamingRecognizer(rec, mode=mode), frames20)
    expected = torch.tensor(np.array([segment.probs for segment in plain])).log().div(2).softmax(-1)
    np.testing.assert_allclose([segment.probs for segment in found], expected, atol=1e-9)
    assert [segment.known for segment in found] == (expected.max(dim=1).values >= 0.5).tolist()
    if mode == "window":
        offline = corrected(frames20).segments
        assert_same(found, offline)
        assert [segment.known for segment in found] == [segment.known for segment in offline]


def test_a_file_read_frame_by_frame_gives_the_segments_of_the_file(rec: Recognizer, clip20: Path) -> None:
    pixels = rec.header.preprocess
    frames, _ = read_all(clip20, sample_fps=pixels.sample_fps, resize=pixels.resize)
    assert_same(stream_of(StreamingRecognizer(rec), frames), rec(clip20).segments)


def test_a_stream_is_of_a_file_of_an_array_or_of_frames_with_their_times(
    rec: Recognizer, clip20: Path, frames20: np.ndarray
) -> None:
    streaming = StreamingRecognizer(rec, clip_stride=3)
    offline = rec(clip20, clip_stride=3).segments
    assert len(offline) == 7  # the last of frames that are left
    streaming.push(frames20[0], 5.0)  # forgotten
    assert_same(list(streaming.stream(clip20)), offline)
    assert_same(list(streaming.stream(frames20)), offline)
    came: list[float] = []

    def camera() -> Iterator[tuple[np.ndarray, float]]:
        for t, frame in enumerate(frames20):
            came.append(t / 10)
            yield frame, t / 10

    segments = streaming.stream(camera())
    assert_same([next(segments)], offline[:1])
    assert came == [0.0, 0.1, 0.2, 0.3]  # no frame is waited for that the window does not need
    np.testing.assert_allclose([list(segment.probs) for segment in segments], [s.probs for s in offline[1:]], atol=1e-6)


def test_flow_and_views_stream_as_they_run_offline(tiny_model: Path, frames20: np.ndarray) -> None:
    header, network = model_file.load(tiny_model)
    flow = Recognizer(replace(header, preprocess=replace(header.preprocess, stream="flow")), network)
    offline = flow(frames20).segments
    streamed = stream_of(StreamingRecognizer(flow), frames20)
    assert_same(streamed, offline)
    ten = Recognizer(header, network, views=TEN_CROP_VIEWS)
    assert_same(stream_of(StreamingRecognizer(ten), frames20), ten(frames20).segments)


def test_carry_is_one_causal_run_over_the_whole_stream(tiny_model: Path, rec: Recognizer) -> None:
    frames = textured_frames(60, 72, 80)
    header, network = model_file.load(tiny_model)
    with torch.no_grad():
        features = network.encode(Preprocess(header.preprocess)(frames))
        expected = network(features[None])[0].softmax(-1).numpy()
    streaming = StreamingRecognizer(rec, mode="carry", top_k=3)
    assert np.ptp(expected[20:], axis=0).max() > 0.05  # or the test could not fail
    for t, frame in enumerate(frames):
        segment = streaming.push(frame, t / 10)
        assert segment is not None
        assert (segment.start_s, segment.end_s) == pytest.approx((t / 10, (t + 1) / 10))
        probs = [entry.prob for entry in sorted(segment.top, key=lambda entry: entry.label_id)]
        np.testing.assert_allclose(probs, expected[t], atol=1e-5)
    assert streaming.finish() is None


@pytest.mark.parametrize("mode", ["window", "carry"])
def test_streams_pushed_together_say_what_each_says_alone(rec: Recognizer, mode: Any) -> None:
    clips = [textured_frames(12, 72, 80, seed=0), textured_frames(12, 90, 72, seed=1), textured_frames(12, 72, 72)]
    alone = [
        [streaming.push(frame, t / 10) for t, frame in enumerate(clip)]
        for clip in clips
        for streaming in [StreamingRecognizer(rec, mode=mode)]
    ]
    streams = [StreamingRecognizer(rec, mode=mode) for _ in clips]
    seen: list[int] = []
    hook = rec.runtime.model.backbone.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    together = [push_together(streams, frames, [t / 10] * 3) for t, frames in enumerate(zip(*clips, strict=True))]
    hook.remove()
    assert seen == [3] * 12  # one call for all
    for i, expected in enumerate(alone):
        for found, one in zip((row[i] for row in together), expected, strict=True):
            assert (found is None) == (one is None)
            if found is not None and one is not None:
                assert_same([found], [one], atol=1e-5)  # a CNN rounds otherwise in batches of three


def test_each_frame_passes_the_cnn_once(rec: Recognizer, frames20: np.ndarray) -> None:
    seen: list[int] = []
    hook = rec.runtime.model.backbone.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    stream_of(StreamingRecognizer(rec, clip_stride=1), frames20)
    hook.remove()
    assert seen == [1] * 20


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_frames_that_change_their_size_are_taken(tiny_model: Path, stream: Any) -> None:
    header, network = model_file.load(tiny_model)
    rec = Recognizer(replace(header, preprocess=replace(header.preprocess, stream=stream)), network)
    frames = [frame for size in ((72, 80), (100, 100), (130, 200)) for frame in textured_frames(5, *size)]
    segments = stream_of(StreamingRecognizer(rec), frames)
    assert len(segments) >= 5


def test_reset_starts_a_new_stream(rec: Recognizer, frames20: np.ndarray) -> None:
    for mode in ("window", "carry"):
        streaming = StreamingRecognizer(rec, mode=mode)
        first = [streaming.push(frame, t / 10) for t, frame in enumerate(frames20[:7])]
        streaming.reset()
        assert [streaming.push(frame, t / 10) for t, frame in enumerate(frames20[:7])] == first


@pytest.mark.parametrize("mode", ["window", "carry"])
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_stream_goes_on_elsewhere_from_what_it_remembers(tiny_model: Path, mode: Any, stream: Any) -> None:
    header, network = model_file.load(tiny_model)
    rec = Recognizer(replace(header, preprocess=replace(header.preprocess, stream=stream)), network)
    frames = [frame for size in ((72, 80), (90, 100)) for frame in textured_frames(9, *size)]
    expected = stream_of(StreamingRecognizer(rec, mode=mode), frames)
    kept = pickle.dumps(StreamingRecognizer(rec, mode=mode).memory())
    found = []
    for t, frame in enumerate(frames):
        elsewhere = StreamingRecognizer(rec, mode=mode)
        elsewhere.remember(pickle.loads(kept))
        found.append(elsewhere.push(frame, t / 10))
        kept = pickle.dumps(elsewhere.memory())
    assert [segment for segment in [*found, elsewhere.finish()] if segment is not None] == expected
    assert len(expected) >= 5


def test_wrong_frames_times_and_options_are_refused(rec: Recognizer, frames20: np.ndarray) -> None:
    streaming = StreamingRecognizer(rec)
    streaming.push(frames20[0], 1.0)
    for frame, time_s, message in (
        (frames20[0].astype(float), 2.0, "must be RGB"),
        (frames20[0, :, :, 0], 2.0, "must be RGB"),
        (frames20[0], 0.9, "must come in order"),
        (frames20[0], float("nan"), "must come in order"),
    ):
        with pytest.raises(LRCNError, match=message):
            streaming.push(frame, time_s)
    for options, message in (
        ({"mode": "both"}, "window or carry"),
        ({"clip_stride": 9}, "clip_stride"),
        ({"top_k": 0}, "top_k"),
    ):
        with pytest.raises(ConfigError, match=message):
            StreamingRecognizer(rec, **options)
    with pytest.raises(ConfigError, match="different ones"):
        push_together([streaming, streaming], frames20[:2], [3.0, 3.0])


def test_frames_of_one_time_are_taken_as_files_have_them(rec: Recognizer, frames20: np.ndarray) -> None:
    times = [0.0, 0.1, 0.1, *(t / 10 for t in range(2, 10))]
    streaming = StreamingRecognizer(rec)
    said = [streaming.push(frame, time_s) for frame, time_s in zip(frames20, times, strict=False)]
    assert any(segment is not None for segment in said)


class MeanColour(Runtime):
    """A runtime that costs nothing: the mean colour is the feature and the answer."""

    name, device = "mean colour", "cpu"
    has_step = True

    def encode(self, images: np.ndarray, view: Any) -> np.ndarray:
        return images.mean(axis=(1, 2), dtype=np.float32)

    def embed(self, features: np.ndarray) -> np.ndarray:
        return features

    def clip_probs(self, embedded: np.ndarray) -> np.ndarray:
        return (embedded / embedded.sum(axis=2, keepdims=True)).mean(axis=1)

    def initial_state(self, batch_size: int) -> State:
        return {"hidden": np.zeros((1, batch_size, 3), np.float32)}

    def step(self, features: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        hidden = 0.9 * state["hidden"] + features[None]
        return features / features.sum(axis=1, keepdims=True), {"hidden": hidden}


@pytest.mark.parametrize(("mode", "num_frames"), [("window", 100_000), ("carry", 10_000)])
def test_memory_is_flat_however_many_frames_come(tiny_model: Path, mode: Any, num_frames: int) -> None:
    header = replace(model_file.inspect(tiny_model), preprocess=PreprocessConfig(resize=8, crop=8, sample_fps=None))
    streaming = StreamingRecognizer(Recognizer(header, MeanColour()), mode=mode)
    frame = np.full((8, 8, 3), (10, 20, 30), np.uint8)

    def size() -> int:
        held = {name: part for name, part in vars(streaming).items() if name not in ("recognizer", "_resizer")}
        return len(pickle.dumps(held))

    sizes, before = [], 0
    for t in range(num_frames):
        segment = streaming.push(frame, t / 25)
        if t == 1_000:
            sizes.append(size())
        elif t == num_frames - 3_000:  # for what is held elsewhere; CPython keeps its first 2,000 freed tuples
            tracemalloc.start()
        elif t == num_frames - 2_500:
            before = tracemalloc.get_traced_memory()[0]
        elif t == num_frames - 1:
            assert tracemalloc.get_traced_memory()[0] - before < 2_500 * 8  # a pointer a frame
            tracemalloc.stop()
    sizes.append(size())
    assert abs(sizes[1] - sizes[0]) < 32
    assert segment is None or segment.top[0].label == "jump"
