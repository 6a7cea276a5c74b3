from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lrcn import model_file
from lrcn.config import Calibration
from lrcn.devices import choose_device
from lrcn.errors import ConfigError, MediaError, ModelFileError
from lrcn.inference.recognition import predictor as module
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.video.read import read_all
from lrcn.video.transforms import Preprocess


@pytest.fixture
def rec(tiny_model: Path) -> Recognizer:
    return Recognizer.load(tiny_model, device="cpu")


def window_by_window(tiny_model: Path, path: Path, windows: list[tuple[int, int]]) -> np.ndarray:
    """The plain way: the frames of every window go through the whole network, one window after the other."""
    header, network = model_file.load(tiny_model)
    frames, _ = read_all(path, sample_fps=header.preprocess.sample_fps, resize=header.preprocess.resize)
    pixels = Preprocess(header.preprocess)(frames)
    with torch.no_grad():
        logits = [network(network.encode(pixels[start:end])[None])[0] for start, end in windows]
    return np.stack([each.softmax(-1).mean(0).numpy() for each in logits])


def test_result_is_that_of_running_every_window_through_the_whole_network(
    rec: Recognizer, tiny_model: Path, clip20: Path
) -> None:
    windows = [(start, start + 4) for start in range(0, 17, 2)]
    expected = window_by_window(tiny_model, clip20, windows)

    result = rec(clip20, top_k=3)

    np.testing.assert_allclose(result.probs, expected.mean(0), atol=1e-5)
    assert len({segment.top[0].label for segment in result.segments}) >= 2  # or the test could not fail
    for segment, probs, (start, _) in zip(result.segments, expected, windows, strict=True):
        assert [entry.label_id for entry in segment.top] == np.argsort(-probs).tolist()
        np.testing.assert_allclose([entry.prob for entry in segment.top], np.sort(probs)[::-1], atol=1e-5)
        assert (segment.start_s, segment.end_s) == pytest.approx((start / 10, (start + 4) / 10))
    assert result.duration_s == pytest.approx(2.0)
    assert result.source == str(clip20)
    assert result.model == {
        "name": "tiny",
        "sha256": model_file.inspect(tiny_model).sha256,
        "runtime": "torch",
    }
    assert result.timing_s["total"] == pytest.approx(result.timing_s["features"] + result.timing_s["windows"])


def test_each_frame_is_encoded_once(rec: Recognizer, clip20: Path) -> None:
    encoded = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal encoded
        encoded += len(inputs[0])

    rec.runtime.model.backbone.register_forward_pre_hook(count)
    rec(clip20)
    assert encoded == 20


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_batch_sizes_do_not_change_the_result(
    rec: Recognizer, tiny_model: Path, clip20: Path, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = rec(clip20)
    monkeypatch.setattr(module, "WINDOW_BATCH", 2)
    result = Recognizer.load(tiny_model, device="cpu", batch_size=batch_size)(clip20)
    np.testing.assert_allclose(result.probs, expected.probs, atol=1e-6)
    assert [(s.start_s, s.end_s) for s in result.segments] == [(s.start_s, s.end_s) for s in expected.segments]


def test_array_of_frames_gives_what_their_file_gives(rec: Recognizer, clip20: Path, frames20: np.ndarray) -> None:
    np.testing.assert_allclose(rec(frames20).probs, rec(clip20).probs, atol=1e-6)
    assert rec(np.asfortranarray(frames20)).probs == rec(frames20).probs
    assert rec(frames20).source == "array"


def test_same_video_gives_the_same_numbers_twice(rec: Recognizer, tiny_model: Path, clip20: Path) -> None:
    assert rec(clip20).probs == rec(clip20).probs == Recognizer.load(tiny_model, device="cpu")(clip20).probs


def test_video_shorter_than_a_window_is_one_segment(rec: Recognizer, frames20: np.ndarray) -> None:
    result = rec(frames20[:3])
    assert [(s.start_s, s.end_s) for s in result.segments] == [(0.0, pytest.approx(0.3))]
    assert result.probs == pytest.approx(tuple(e.prob for e in sorted(result.top, key=lambda e: e.label_id)))


def test_part_of_a_video_is_judged_by_its_own_frames(rec: Recognizer, clip20: Path, frames20: np.ndarray) -> None:
    part = rec(clip20, start_s=0.5, end_s=1.5)
    np.testing.assert_allclose(part.probs, rec(frames20[5:15]).probs, atol=1e-6)
    assert part.segments[0].start_s == pytest.approx(0.5)
    assert part.segments[-1].end_s == pytest.approx(1.5)


def test_part_without_frames_is_refused(rec: Recognizer, clip20: Path) -> None:
    with pytest.raises(MediaError, match=r"clip20\.avi: cannot be read from 9 s, the video ends at 2 s"):
        rec(clip20, start_s=9)


def test_list_gives_a_list_and_stream_looks_into_folders(rec: Recognizer, clip20: Path, frames20: np.ndarray) -> None:
    both = rec([clip20, frames20], top_k=1)
    for options in ({"start_s": 1.0}, {"end_s": 1.0}, {"on_progress": print}):
        with pytest.raises(ConfigError, match="are for one source"):
            rec([clip20], **options)
    assert [result.source for result in both] == [str(clip20), "array"]
    assert [len(result.top) for result in both] == [1, 1]
    assert [result.source for result in rec.stream(clip20.parent)] == [str(clip20)]
    assert next(rec.stream(frames20)).probs == both[1].probs


def test_stream_yields_what_is_done_before_a_broken_source(rec: Recognizer, clip20: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    results = rec.stream([clip20, broken])
    assert next(results).source == str(clip20)
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        next(results)


def test_progress_tells_seconds_of_video(tiny_model: Path, clip20: Path) -> None:
    seen: list[float] = []
    Recognizer.load(tiny_model, device="cpu", batch_size=8)(clip20, on_progress=seen.append)
    assert seen == pytest.approx([0.7, 1.5, 1.9])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"clip_stride": 5}, "clip_stride must be between 1 and"), ({"clip_stride": 0}, "got 0"), ({"top_k": 0}, "top_k")],
)
def test_options_out_of_range_are_refused(rec: Recognizer, clip20: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rec(clip20, top_k=options.get("top_k", 5), clip_stride=options.get("clip_stride"))


def test_missing_model_and_device_are_refused(tiny_model: Path) -> None:
    with pytest.raises(ModelFileError, match="nothing-here: no such model file"):
        Recognizer.load("nothing-here")
    for name in ("cpuu", "meta", "cuda:99"):
        with pytest.raises(ConfigError, match=f"device '{name}' cannot be used here"):
            Recognizer.load(tiny_model, device=name)
    assert choose_device("auto").type in ("cpu", "cuda")


def test_model_of_a_folder_is_named_after_the_folder(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my-run"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(tiny_model.read_bytes())
    rec = Recognizer.load(folder, device="cpu")
    assert rec.name == "my-run"
    assert repr(rec) == "<Recognizer my-run: 3 labels on cpu>"


def test_a_calibration_corrects_every_window_and_sets_what_is_unknown(rec: Recognizer, clip20: Path) -> None:
    plain = rec(clip20)
    assert plain.known
    assert all(segment.known for segment in plain.segments)
    expected = torch.tensor(np.array([segment.probs for segment in plain.segments])).log().div(2.5).softmax(-1)
    level = float(expected.max(dim=1).values.median())
    calibration = Calibration(temperature=2.5, unknown_below=level - 1e-9)
    corrected = Recognizer(replace(rec.header, calibration=calibration), rec.runtime)
    result = corrected(clip20)
    np.testing.assert_allclose([segment.probs for segment in result.segments], expected, atol=1e-9)
    np.testing.assert_allclose(result.probs, expected.mean(dim=0), atol=1e-9)
    assert [segment.known for segment in result.segments] == [bool(row.max() >= level - 1e-9) for row in expected]
    assert 0 < sum(segment.known for segment in result.segments) < len(result.segments)
    assert result.known == (float(expected.mean(dim=0).max()) >= level - 1e-9)

    corrected.unknown_below = 1.0
    assert not corrected(clip20).known
    assert corrected(clip20).label == result.label
