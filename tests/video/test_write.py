"""Written videos, read back with ffmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.errors import ConfigError, MediaError, ShapeError
from lrcn.video.read import probe, read_all
from lrcn.video.write import write_video


@pytest.mark.parametrize("fps", [10, 29.97, Fraction(24000, 1001), 0.5])
def test_frames_and_times_come_back(tmp_path: Path, frames20: np.ndarray, fps: float | Fraction) -> None:
    write_video(tmp_path / "a.mp4", iter(frames20), fps=fps)
    decoded, times_s = read_all(tmp_path / "a.mp4", on_warning=pytest.fail)
    np.testing.assert_allclose(times_s, np.arange(20) / float(fps), rtol=1e-4)
    assert np.abs(decoded.astype(int) - frames20).mean() < 6  # the price of yuv420p on these colours is 4
    assert probe(tmp_path / "a.mp4").num_frames == 20


def test_colours_come_back(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 100, 50)]
    frames = np.stack([np.full((64, 64, 3), colour, np.uint8) for colour in colours])
    write_video(tmp_path / "a.mp4", frames, fps=5, crf=4)
    decoded, _ = read_all(tmp_path / "a.mp4")
    assert np.abs(decoded.astype(int) - frames).max() <= 4


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (47, 64), (1, 1)])
def test_odd_sides_repeat_their_last_row_and_column(tmp_path: Path, size: tuple[int, int]) -> None:
    grey = np.repeat(textured_frames(3, *size)[..., :1], 3, axis=3)
    write_video(tmp_path / "a.mp4", grey, fps=10, crf=4)
    decoded, _ = read_all(tmp_path / "a.mp4")
    height, width = size
    padded = np.pad(grey, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    assert decoded.shape == padded.shape
    assert np.abs(decoded.astype(int) - padded).mean() < 3


def test_every_player_opens_it(tmp_path: Path, frames20: np.ndarray) -> None:
    write_video(tmp_path / "a.mp4", frames20, fps=10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert container.format.name.startswith("mov,mp4")
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        frame = next(container.decode(stream))
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited


def _tone(path: Path) -> tuple[np.ndarray, float]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
        return samples, float((stream.start_time or 0) * stream.time_base)


@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.ts"])  # .ts counts from 1.4 s
def test_the_sound_of_the_original_goes_along(
    make_clip: MakeClip, tmp_path: Path, frames20: np.ndarray, source: str
) -> None:
    original = make_clip(tmp_path / source, frames20, codec="libx264", pix_fmt="yuv420p", audio=True)
    write_video(tmp_path / "b.mp4", frames20, fps=10, audio_from=original)
    samples, start_s = _tone(tmp_path / "b.mp4")
    assert start_s == pytest.approx(0, abs=0.065)  # one AAC frame of the original is 0.064 s
    assert len(samples) / 48000 == pytest.approx(2.0, abs=0.1)
    loudest = np.abs(np.fft.rfft(samples)).argmax() * 48000 / len(samples)
    assert loudest == pytest.approx(440, abs=2)


def test_sound_that_nobody_can_decode_gives_a_silent_video(
    make_clip: MakeClip, tmp_path: Path, frames20: np.ndarray
) -> None:
    original = make_clip(tmp_path / "a.mkv", frames20, codec="libx264", pix_fmt="yuv420p", audio=True)
    content = original.read_bytes()
    assert content.count(b"A_AAC") == 1
    original.write_bytes(content.replace(b"A_AAC", b"A_XAC"))
    write_video(tmp_path / "b.mp4", frames20, fps=10, audio_from=original)
    info = probe(tmp_path / "b.mp4")
    assert (info.has_audio, info.num_frames) == (False, 20)


def test_sound_is_cut_where_the_frames_end(make_clip: MakeClip, tmp_path: Path, frames20: np.ndarray) -> None:
    original = make_clip(tmp_path / "a.mp4", frames20, codec="libx264", pix_fmt="yuv420p", audio=True)
    write_video(tmp_path / "b.mp4", frames20[:5], fps=10, audio_from=original)
    assert len(_tone(tmp_path / "b.mp4")[0]) / 48000 == pytest.approx(0.5, abs=0.1)


def test_sources_without_sound_give_silent_videos(clip20: Path, tmp_path: Path, frames20: np.ndarray) -> None:
    (tmp_path / "note.txt").write_text("no sound")
    for source in (clip20, tmp_path / "note.txt", tmp_path):
        write_video(tmp_path / "b.mp4", frames20, fps=10, audio_from=source)
        info = probe(tmp_path / "b.mp4")
        assert (info.has_audio, info.num_frames) == (False, 20)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failure_leaves_what_was_there(tmp_path: Path, frames20: np.ndarray) -> None:
    (tmp_path / "a.mp4").write_bytes(b"before")

    def failing() -> Iterator[np.ndarray]:
        for _ in range(10):
            yield from frames20  # enough for the encoder to have written
        assert len(_files(tmp_path)) == 2
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        write_video(tmp_path / "a.mp4", failing(), fps=10)
    with pytest.raises(MediaError, match="no frame to write"):
        write_video(tmp_path / "a.mp4", [], fps=10)
    with pytest.raises(ShapeError, match="frame 1 has shape"):
        write_video(tmp_path / "a.mp4", [frames20[0], frames20[1, :-2]], fps=10)
    with pytest.raises(ShapeError, match="uint8"):
        write_video(tmp_path / "a.mp4", [frames20[0] / 255.0], fps=10)
    with pytest.raises(ConfigError, match="fps"):
        write_video(tmp_path / "a.mp4", frames20, fps=0)
    assert _files(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"before"


def test_folders_are_made_and_impossible_places_refused(tmp_path: Path, frames20: np.ndarray) -> None:
    write_video(tmp_path / "new" / "folder" / "a.mp4", frames20, fps=10)
    assert _files(tmp_path / "new" / "folder") == ["a.mp4"]
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(MediaError, match=r"a\.mp4: cannot be written"):
        write_video(tmp_path / "file" / "a.mp4", frames20, fps=10)
