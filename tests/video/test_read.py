"""Frames and times of every kind of source, against the arrays the sources were made from."""

from __future__ import annotations

import itertools
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.conftest import MakeClip, textured_frames

from lrcn.errors import ConfigError, MediaError
from lrcn.video.choosing import CLOCK_TOLERANCE_S
from lrcn.video.read import probe, read_all, read_frames


def quiet(path: Path, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """Read everything and fail on any warning."""
    return read_all(path, on_warning=pytest.fail, **options)  # type: ignore[arg-type]


# --- pixels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".nut"])
@pytest.mark.parametrize("size", [(48, 64), (47, 63), (5, 7)])
def test_decoded_pixels_equal_the_lossless_source(
    make_clip: MakeClip, tmp_path: Path, suffix: str, size: tuple[int, int]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (6, *size, 3), np.uint8)
    decoded, _ = quiet(make_clip(tmp_path / f"noise{suffix}", frames))
    np.testing.assert_array_equal(decoded, frames)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "bound"),
    [
        ("a.mp4", "libx264", "yuv420p", 4),
        ("a.mp4", "libx264", "yuv444p", 4),
        ("a.mp4", "libx264", "yuv420p10le", 4),
        ("a.mov", "libx264", "yuv420p", 4),
        ("a.mkv", "libx264", "yuv422p", 4),
        ("a.mkv", "rawvideo", "yuv420p", 2),
        ("a.webm", "libvpx", "yuv420p", 4),
        ("a.webm", "libvpx-vp9", "yuv420p", 4),
        ("a.avi", "mpeg4", "yuv420p", 8),
        ("a.avi", "mjpeg", "yuvj420p", 6),
        ("a.gif", "gif", "gray", 1),
        ("a.mkv", "ffv1", "gray", 1),
        ("a.mkv", "ffv1", "gray10le", 1),
        ("a.ts", "libx264", "yuv420p", 4),
        ("no_suffix_at_all", "ffv1", "bgr0", 0),
    ],
)
def test_containers_and_pixel_formats(
    make_clip: MakeClip, tmp_path: Path, name: str, codec: str, pix_fmt: str, bound: float
) -> None:
    grey = np.repeat(textured_frames(20, 48, 64)[..., :1], 3, axis=3)
    suffix = Path(name).suffix or ".avi"
    path = make_clip(tmp_path / f"made{suffix}", grey, 10, codec=codec, pix_fmt=pix_fmt).rename(tmp_path / name)
    decoded, times_s = quiet(path)
    assert decoded.shape == grey.shape
    assert np.abs(decoded.astype(int) - grey).mean() <= bound
    np.testing.assert_allclose(times_s, np.arange(20) / 10, atol=1e-9)
    info = probe(path)
    assert (info.width, info.height, info.fps, info.has_audio) == (64, 48, 10, False)
    assert info.duration_s == pytest.approx(2.0, abs=0.11)


def test_frames_of_changing_size_take_the_size_of_the_first(make_clip: MakeClip, tmp_path: Path) -> None:
    small = make_clip(tmp_path / "a.h264", textured_frames(5, 48, 64), 25, codec="libx264", pix_fmt="yuv420p")
    large = make_clip(tmp_path / "b.h264", textured_frames(5, 96, 80), 25, codec="libx264", pix_fmt="yuv420p")
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    warnings: list[str] = []
    decoded, _ = read_all(joined, on_warning=warnings.append)
    assert decoded.shape == (10, 48, 64, 3)
    (warning,) = warnings
    assert warning.startswith(f"{joined}: the shape of its frames changes at 0.2 s; ")
    assert len(read_all(joined, resize=(20, 30), on_warning=pytest.fail)[0]) == 10  # that size was asked for
    # the second half shows other motion at other sizes, not noise or black
    assert np.abs(decoded[5:].astype(int).mean() - textured_frames(5, 96, 80).mean()) < 5


@pytest.mark.parametrize("chunk_size", [1, 3, 20, 64])
def test_how_frames_are_chunked_changes_nothing(clip20: Path, frames20: np.ndarray, chunk_size: int) -> None:
    chunks = list(read_frames(clip20, chunk_size=chunk_size))
    assert all(len(chunk.frames) == chunk_size for chunk in chunks[:-1])
    np.testing.assert_array_equal(np.concatenate([chunk.frames for chunk in chunks]), frames20)
    np.testing.assert_allclose(np.concatenate([chunk.times_s for chunk in chunks]), np.arange(20) / 10)


def test_chunks_stay_valid_while_reading_goes_on(clip20: Path, frames20: np.ndarray) -> None:
    chunks = read_frames(clip20, chunk_size=5)
    first = next(chunks).frames
    list(chunks)
    np.testing.assert_array_equal(first, frames20[:5])


def test_memory_is_bounded_by_a_chunk(make_clip: MakeClip, tmp_path: Path) -> None:
    frames = np.repeat(textured_frames(4, 96, 128), 75, axis=0)  # 300 frames, 11 MB
    path = make_clip(tmp_path / "long.mkv", frames, 30)
    tracemalloc.start()
    try:
        for sample_fps in (None, 40.0):
            tracemalloc.reset_peak()
            count = sum(len(chunk.frames) for chunk in read_frames(path, chunk_size=8, sample_fps=sample_fps))
            assert count >= 300
            assert tracemalloc.get_traced_memory()[1] < 4 * 8 * frames[0].nbytes
    finally:
        tracemalloc.stop()


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def irregular(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A video of variable frame rate, its frames and their times: gaps from 1 ms to 0.9 s, starting at 0.4 s."""
    rng = np.random.default_rng(5)
    gaps_ms = np.concatenate([rng.integers(1, 90, 20), [900, 1, 1, 250], rng.integers(20, 60, 16)])
    pts_ms = 400 + np.concatenate([[0], np.cumsum(gaps_ms)])
    frames = textured_frames(len(pts_ms), 16, 24)
    path = tmp_path_factory.mktemp("irregular") / "irregular.mkv"
    make_clip(path, frames, 25, pts_ms=[int(pts) for pts in pts_ms])
    return path, frames, (pts_ms - pts_ms[0]) / 1000


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sample_fps=st.one_of(st.sampled_from([1.0, 10.0, 25.0, 29.97, 1000.0]), st.floats(0.5, 200)),
    start_s=st.floats(0, 2),
    length_s=st.one_of(st.none(), st.floats(0.01, 2)),
)
def test_sampling_takes_the_frame_shown_at_each_time(
    irregular: tuple[Path, np.ndarray, np.ndarray], sample_fps: float, start_s: float, length_s: float | None
) -> None:
    path, frames, shown_from_s = irregular
    end_s = None if length_s is None else start_s + length_s
    sampled, times_s = quiet(path, sample_fps=sample_fps, start_s=start_s, end_s=end_s)
    np.testing.assert_allclose(times_s, start_s + np.arange(len(times_s)) / sample_fps)
    for pixels, time_s in zip(sampled, times_s, strict=True):
        reached_s = shown_from_s - CLOCK_TOLERANCE_S - time_s
        last_shown = max(np.flatnonzero(reached_s <= 0), default=0)
        if np.abs(reached_s).min() > 1e-9:  # else rounding decides
            np.testing.assert_array_equal(pixels, frames[last_shown])
    following_s = start_s + len(times_s) / sample_fps
    video_end_s = shown_from_s[-1] + 0.04  # Matroska states 1/25 s for the last frame
    assert following_s > min(video_end_s, end_s or np.inf) - 3 * CLOCK_TOLERANCE_S


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 24, Fraction(30000, 1001), 60])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_sampling_at_the_videos_own_rate_takes_every_frame_once(
    make_clip: MakeClip, tmp_path: Path, fps: Fraction, suffix: str
) -> None:
    frames = textured_frames(90, 16, 24)
    codec, pix_fmt = ("ffv1", "bgr0") if suffix == ".mkv" else ("libx264", "yuv420p")
    path = make_clip(tmp_path / f"a{suffix}", frames, fps, codec=codec, pix_fmt=pix_fmt)
    np.testing.assert_array_equal(quiet(path, sample_fps=float(fps))[0], quiet(path)[0])
    assert len(quiet(path)[0]) == 90


def test_a_slower_video_repeats_its_frames(clip20: Path, frames20: np.ndarray) -> None:
    sampled, times_s = quiet(clip20, sample_fps=30)
    np.testing.assert_array_equal(sampled, np.repeat(frames20, 3, axis=0))
    np.testing.assert_allclose(times_s, np.arange(60) / 30)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts_ms=st.lists(st.integers(1, 1999), min_size=1, max_size=6, unique=True))
def test_neighbouring_intervals_share_no_frame_and_lose_none(
    clip20: Path, frames20: np.ndarray, cuts_ms: list[int]
) -> None:
    edges_s = [0.0, *(100 * round(cut / 100) / 1000 for cut in sorted(cuts_ms)), 2.0]
    parts = [quiet(clip20, start_s=a, end_s=b)[0] for a, b in itertools.pairwise(edges_s) if b > a]
    np.testing.assert_array_equal(np.concatenate(parts), frames20)


def test_an_interval_between_two_frames_holds_the_one_that_is_shown(clip20: Path, frames20: np.ndarray) -> None:
    frames, times_s = quiet(clip20, start_s=0.53, end_s=0.57)
    np.testing.assert_array_equal(frames, frames20[5:6])
    np.testing.assert_allclose(times_s, [0.5])


def test_frames_of_another_size_and_the_same_shape_are_no_change(make_clip: MakeClip, tmp_path: Path) -> None:
    parts = [
        make_clip(tmp_path / f"{k}.h264", textured_frames(3, 32 * k, 48 * k), 25, codec="libx264", pix_fmt="yuv420p")
        for k in (1, 2)
    ]
    joined = tmp_path / "joined.h264"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert quiet(joined, resize=20)[0].shape == (6, 20, 30, 3)


@pytest.mark.parametrize("sample_fps", [None, 10.0])
def test_what_is_too_short_for_the_clock_is_one_frame(
    make_clip: MakeClip, clip20: Path, frames20: np.ndarray, tmp_path: Path, sample_fps: float | None
) -> None:
    brief = make_clip(tmp_path / "brief.nut", frames20[:3], 10_000)  # within a millisecond
    frames, times_s = quiet(brief, sample_fps=sample_fps)
    np.testing.assert_array_equal(frames, frames20[:3] if sample_fps is None else frames20[2:3])
    assert times_s[0] == 0.0
    for start_s, end_s, number in ((0.0, 0.0005, 0), (0.53, 0.5304, 5)):
        frames, _ = quiet(clip20, sample_fps=sample_fps, start_s=start_s, end_s=end_s)
        np.testing.assert_array_equal(frames, frames20[number : number + 1])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
@pytest.mark.parametrize("start_s", [3.0, 4.13, 7.9])
def test_a_late_start_gives_the_frames_of_a_plain_run(
    make_clip: MakeClip, tmp_path: Path, name: str, start_s: float
) -> None:
    frames = textured_frames(200, 32, 48)
    options = {"g": "40", "bf": "3", "x264-params": "open-gop=1:keyint=40"}
    path = make_clip(tmp_path / name, frames, 25, codec="libx264", pix_fmt="yuv420p", options=options)
    everything, times_s = quiet(path)
    assert len(everything) == 200
    late, late_s = quiet(path, start_s=start_s)
    np.testing.assert_allclose(late_s, times_s[times_s >= start_s - CLOCK_TOLERANCE_S])
    np.testing.assert_array_equal(late, everything[-len(late) :])


def test_a_start_after_the_end_is_refused(clip20: Path) -> None:
    with pytest.raises(MediaError, match=r"from 2 s, the video ends at 2 s"):
        read_all(clip20, start_s=2.0)
    with pytest.raises(MediaError, match="the end must lie after the start"):
        read_all(clip20, start_s=1.0, end_s=1.0)


@pytest.mark.parametrize("option", [{"sample_fps": 0.0}, {"sample_fps": np.nan}, {"chunk_size": 0}, {"resize": 0}])
def test_impossible_arguments_are_refused(clip20: Path, option: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        list(read_frames(clip20, **option))  # type: ignore[arg-type]


# --- rotation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_display_matrix_is_applied(tmp_path: Path, degrees: int, mirror: bool) -> None:
    stored = np.random.default_rng(1).integers(0, 256, (3, 32, 48, 3), np.uint8)
    path = tmp_path / "turned.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "rgb24"
        stream.set_display_rotation(degrees, hflip=mirror)
        for pixels in stored:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    # turned counterclockwise, then flipped: av_display_rotation_set, av_display_matrix_flip (libavutil/display.h)
    upright = np.rot90(stored, degrees // 90, axes=(1, 2))
    upright = upright[:, :, ::-1] if mirror else upright
    decoded, _ = quiet(path)
    np.testing.assert_array_equal(decoded, upright)
    assert (probe(path).height, probe(path).width) == upright.shape[1:3]
    assert quiet(path, resize=16)[0].shape[1:3] == ((16, 24) if degrees % 180 == 0 else (24, 16))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    stored = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored, 1),
    }[orientation]
    np.testing.assert_array_equal(quiet(tmp_path / "a.png")[0][0], upright)


def test_exif_inside_a_motion_jpeg_is_applied(tmp_path: Path) -> None:
    stored = np.kron(np.random.default_rng(2).integers(0, 256, (4, 6, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj444p"
        stream.codec_context.open()
        for index in range(3):
            packet = av.Packet((tmp_path / "a.jpg").read_bytes())
            packet.stream, packet.time_base = stream, stream.codec_context.time_base
            packet.pts = packet.dts = index
            container.mux(packet)
    decoded, _ = quiet(tmp_path / "a.avi")
    assert decoded.shape == (3, 48, 32, 3)
    assert np.abs(decoded[0].astype(int) - np.rot90(stored, -1)).mean() < 3


# --- sound ------------------------------------------------------------------------------------------------------------


def test_sound_is_seen_by_the_probe(make_clip: MakeClip, tmp_path: Path, frames20: np.ndarray) -> None:
    path = make_clip(tmp_path / "a.mp4", frames20, codec="libx264", pix_fmt="yuv420p", audio=True)
    assert probe(path).has_audio
    assert len(quiet(path)[0]) == 20
