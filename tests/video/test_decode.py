"""Frames shown in another order than they are stored: the right picture at the right time in every container."""

from __future__ import annotations

import csv
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.conftest import MakeClip

from lrcn.video.decode import VideoFile
from lrcn.video.read import probe, read_all

cv2 = pytest.importorskip("cv2", reason="the second decoder")

FPS = 25
_REAL_SETS = Path(os.environ.get("LRCN_REAL_SETS") or Path(__file__).parents[3] / "shared" / "real")


def _numbered(num_frames: int) -> np.ndarray:
    """Return frames `(T, 64, 96, 3)` that carry their number as six light or dark bars."""
    bits = (np.arange(num_frames)[:, None] >> np.arange(6)) & 1
    bars = np.repeat(32 + 192 * bits.astype(np.uint8), 16, axis=1)
    return np.broadcast_to(bars[:, None, :, None], (num_frames, 64, 96, 3)).copy()


def _numbers(frames: np.ndarray) -> np.ndarray:
    """Read the numbers of frames."""
    bars = frames.reshape(len(frames), 64, 6, 16, 3).mean(axis=(1, 3, 4)) > 128
    return (bars * 2 ** np.arange(6)).sum(axis=1)


def _by_opencv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return OpenCV's frames and times from the first frame on."""
    video = cv2.VideoCapture(str(path))
    frames, times_s = [], []
    while True:
        found, pixels = video.read()
        if not found:
            break
        frames.append(pixels[..., ::-1])
        times_s.append(video.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    return np.stack(frames), np.array(times_s) - times_s[0]


def _assert_shown_as(path: Path, shown: np.ndarray) -> None:
    """Check pictures and times against the frames encoded, 25 a second, and against OpenCV."""
    decoded, times_s = read_all(path, on_warning=pytest.fail)
    assert len(decoded) == len(shown)
    np.testing.assert_allclose(times_s, np.arange(len(shown)) / FPS, atol=1e-9)
    np.testing.assert_array_equal(_numbers(decoded), _numbers(shown))
    theirs, theirs_s = _by_opencv(path)
    assert len(theirs) == len(decoded)
    np.testing.assert_allclose(times_s[:-3], theirs_s[:-3], atol=2e-3)  # it forgets the last ones' times
    assert np.abs(theirs.astype(int) - decoded).mean() < 4  # another conversion to RGB
    sampled, sampled_s = read_all(path, sample_fps=10, on_warning=pytest.fail)
    np.testing.assert_allclose(sampled_s, np.arange(len(sampled)) / 10)
    assert len(sampled) == -(-len(shown) * 10 // FPS)
    np.testing.assert_array_equal(sampled, decoded[np.arange(len(sampled)) * FPS // 10])
    assert probe(path).duration_s == pytest.approx(len(shown) / FPS, abs=1.01 / FPS)


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".ts", ".mkv"])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("mpeg4", {"bf": "2", "g": "12", "q": "2"}),
        ("mpeg2video", {"bf": "2", "g": "12"}),
        ("libx264", {"bf": "3", "g": "24"}),
        ("libx265", {"bf": "3", "x265-params": "log-level=none"}),
    ],
)
def test_b_frames_are_shown_in_order(
    make_clip: MakeClip, tmp_path: Path, codec: str, options: dict[str, str], suffix: str
) -> None:
    if (codec, suffix) == ("libx265", ".avi"):
        pytest.skip("AVI has no code for HEVC")
    shown = _numbered(50)
    path = make_clip(tmp_path / f"a{suffix}", shown, FPS, codec=codec, pix_fmt="yuv420p", options=options)
    _assert_shown_as(path, shown)


# --- packed B-frames --------------------------------------------------------------------------------------------------

_VOP, _USER_DATA = b"\0\0\1\xb6", b"\0\0\1\xb2"


def _packed(chunks: list[bytes]) -> list[bytes]:
    """Pack MPEG-4 pictures as XviD does: a B-frame with the one before it, and an empty picture for the place left."""
    packed: list[bytes] = []
    index = 0
    while index < len(chunks):
        chunk = chunks[index]
        if _coding(chunk) == "I":
            head, _, rest = chunk.partition(_VOP)
            chunk = head + _USER_DATA + b"DivX503b1393p" + _VOP + rest
        index += 1
        run = []
        while index < len(chunks) and _coding(chunks[index]) == "B":
            run.append(chunks[index])
            index += 1
        packed += [chunk + run[0], *run[1:], _not_coded(chunk)] if run else [chunk]
    return packed


def _bits(chunk: bytes) -> str:
    at = chunk.index(_VOP) + len(_VOP)
    return "".join(f"{byte:08b}" for byte in chunk[at : at + 4])


def _coding(chunk: bytes) -> str:
    return "IPBS"[int(_bits(chunk)[:2], 2)]


def _not_coded(chunk: bytes) -> bytes:
    """Return a picture that repeats the one at the time of a chunk's first (ISO/IEC 14496-2, 6.2.5)."""
    bits = _bits(chunk)
    time = bits[bits.index("0", 2) + 2 :][: FPS.bit_length()]  # after the seconds and a marker
    body = "01" + "0" + "1" + time + "1" + "0"  # P, no second more, marker, time, marker, not coded
    body += "0" + "1" * (-(len(body) + 1) % 8)
    return _VOP + int(body, 2).to_bytes(len(body) // 8)


def _write_packed(path: Path, frames: np.ndarray, num_b_frames: int, *, plain: int = 0) -> Path:
    """Write packed B-frames, of which there are none before picture `plain`."""
    encoder = av.CodecContext.create("mpeg4", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(FPS), Fraction(1, FPS)
    encoder.options = {"bf": str(num_b_frames), "g": "40", "b_strategy": "0", "qmin": "2", "qmax": "2"}
    encoder.options |= {"flags": "+bitexact"}
    packets = []
    for index, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = index, encoder.time_base
        if index < plain:
            frame.pict_type = av.video.frame.PictureType.P
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    chunks = _packed([bytes(packet) for packet in packets])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for index, chunk in enumerate(chunks):
            packet = av.Packet(chunk)
            packet.stream, packet.time_base = stream, Fraction(1, FPS)
            packet.pts = packet.dts = index
            packet.is_keyframe = _coding(chunk) == "I"
            container.mux(packet)
    return path


@pytest.mark.parametrize("num_b_frames", [1, 2, 3])
def test_packed_b_frames_are_shown_in_order(tmp_path: Path, num_b_frames: int) -> None:
    shown = _numbered(50)
    path = _write_packed(tmp_path / "packed.avi", shown, num_b_frames)
    with av.open(str(path)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert stamps != sorted(stamps)  # else the file is not of that kind
    _assert_shown_as(path, shown)


def _remuxed(source_path: Path, path: Path) -> Path:
    with av.open(str(source_path)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("start_s", [0.0, 5.0])
def test_packed_b_frames_in_another_container(tmp_path: Path, suffix: str, start_s: float) -> None:
    shown = np.tile(_numbered(50), (4, 1, 1, 1))
    path = _remuxed(_write_packed(tmp_path / "packed.avi", shown, 2), tmp_path / f"remuxed{suffix}")
    frames, times_s = read_all(path, start_s=start_s, on_warning=pytest.fail)
    first = round(start_s * FPS)
    np.testing.assert_array_equal(_numbers(frames), _numbers(shown[first:]))
    np.testing.assert_allclose(times_s, np.arange(first, 200) / FPS, atol=2e-3)


def test_b_frames_that_begin_late_move_no_later_frame(tmp_path: Path) -> None:
    shown = _numbered(50)
    path = _write_packed(tmp_path / "packed.avi", shown, 2, plain=20)
    decoded, times_s = read_all(path, on_warning=pytest.fail)
    np.testing.assert_array_equal(_numbers(decoded), np.arange(50))
    np.testing.assert_allclose(times_s, np.arange(50) / FPS, atol=1.01 / FPS)
    assert (np.diff(times_s) > 0).all()


# --- streams that start anew ------------------------------------------------------------------------------------------


def test_joined_streams_run_on(make_clip: MakeClip, tmp_path: Path) -> None:
    shown = _numbered(30)
    options = {"bf": "2", "g": "15"}
    part = make_clip(tmp_path / "part.ts", shown, FPS, codec="mpeg2video", pix_fmt="yuv420p", options=options)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 3)
    decoded, times_s = read_all(joined, on_warning=lambda message: None)
    assert len(decoded) >= 88  # a decoder may lose a frame where streams meet
    assert (np.diff(times_s) > 0).all()
    assert times_s[-1] == pytest.approx((len(decoded) - 1) / FPS, abs=0.1)


# --- real files -------------------------------------------------------------------------------------------------------


def test_real_clips_of_xvid_last_as_long_as_opencv_says() -> None:
    folder = _REAL_SETS / "ut_interaction6"
    if not (folder / "annotations.csv").is_file():
        pytest.skip(f"no ut_interaction6 in {_REAL_SETS}: set LRCN_REAL_SETS to a folder of sets")
    with (folder / "annotations.csv").open(newline="") as file:
        names = [row["path"] for row in csv.DictReader(file)]
    assert names
    wrong = {}
    for name in names:
        video = cv2.VideoCapture(str(folder / name))
        fps, stated, grabbed = video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT), 0
        while video.grab():
            grabbed += 1
        with VideoFile(folder / name) as ours:
            times_s = np.array([frame.time_s for frame in ours.frames()])
            off = abs(ours.end_s - grabbed / fps) * fps, abs(ours.end_s - stated / fps) * fps
        if len(times_s) != grabbed or off[0] > 1.01 or off[1] > 2.01 or (np.diff(times_s) <= 0).any():
            wrong[name] = off
    assert not wrong
