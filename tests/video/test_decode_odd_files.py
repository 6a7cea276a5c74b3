"""Files as other programs write them: sound of another length, pauses, transparency, oblong pixels, profiles."""

from __future__ import annotations

import io
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.conftest import MakeClip, textured_frames

from lrcn.video.read import probe, read_all


def _write(
    path: Path,
    codec: str,
    frames: np.ndarray,
    *,
    pix_fmt: str = "yuv420p",
    fps: int = 10,
    sound_s: float = 0.0,
    **tags: str,
) -> None:
    """Write frames `(T, H, W, 3 or 4)`, and a tone that may last longer."""
    sound = {".flv": "aac", ".wmv": "wmav2", ".mkv": "aac"}.get(path.suffix, "mp2")
    options = {"auto-alt-ref": "0", "crf": "4", "b": "1M"} if codec.startswith("libvpx") else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pix_fmt
        stream.metadata.update(tags)
        tone = container.add_stream(sound, rate=44100, layout="stereo", bit_rate=128_000) if sound_s else None
        packets = []
        for index, pixels in enumerate(frames):
            layout = "rgba" if pixels.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout).reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, fps)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if tone is not None:
            layout = tone.codec_context.format.name
            silence = np.zeros((2, int(44100 * sound_s)), np.float32 if "flt" in layout else np.int16)
            rows = silence if layout.endswith("p") else silence.reshape(1, -1)
            heard = av.AudioFrame.from_ndarray(rows, format=layout, layout="stereo")
            heard.sample_rate = 44100
            packets += [*tone.encode(heard), *tone.encode(None)]
        for packet in sorted(packets, key=lambda packet: float((packet.dts or 0) * packet.time_base)):
            container.mux(packet)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".flv", "flv"), (".wmv", "wmv2"), (".mkv", "mpeg4"), (".mpg", "mpeg2video")]
)
@pytest.mark.parametrize("sound_s", [0.5, 30.0])
def test_sound_of_another_length_is_not_the_length_of_the_picture(
    tmp_path: Path, suffix: str, codec: str, sound_s: float
) -> None:
    path = tmp_path / f"a{suffix}"
    fps = 25 if suffix == ".mpg" else 10
    _write(path, codec, textured_frames(50, 48, 64), fps=fps, sound_s=sound_s)
    decoded, _ = read_all(path, on_warning=pytest.fail)
    assert abs(len(decoded) - 50) <= 1
    assert probe(path).duration_s == pytest.approx(50 / fps, abs=1.5 / fps)


@pytest.mark.parametrize("step_s", [700, 3600])
def test_a_time_lapse_keeps_its_times(make_clip: MakeClip, tmp_path: Path, step_s: int) -> None:
    path = tmp_path / "lapse.mkv"
    make_clip(path, textured_frames(12, 24, 32), pts_ms=[1000 * step_s * number for number in range(12)])
    _, times_s = read_all(path, on_warning=pytest.fail)
    assert times_s.tolist() == [step_s * number for number in range(12)]
    assert probe(path).duration_s >= 11 * step_s


def test_a_long_still_stretch_keeps_its_length(make_clip: MakeClip, tmp_path: Path) -> None:
    path = tmp_path / "screen.mkv"
    times_ms = [0, 100, 200, 2_000_000, 2_000_100]
    make_clip(path, textured_frames(5, 24, 32), pts_ms=times_ms)
    _, times_s = read_all(path, on_warning=pytest.fail)
    np.testing.assert_allclose(times_s, np.array(times_ms) / 1000)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("start_s", [0.0, 3.5])
def test_transparent_webm_is_laid_over_white(tmp_path: Path, codec: str, start_s: float) -> None:
    pixels = np.zeros((50, 48, 64, 4), np.uint8)
    pixels[:, :, 32:] = (255, 0, 0, 255)
    path = tmp_path / "a.webm"
    _write(path, codec, pixels, pix_fmt="yuva420p", alpha_mode="1")
    decoded, times_s = read_all(path, start_s=start_s)
    assert times_s[0] == pytest.approx(start_s)
    assert len(decoded) == 50 - round(10 * start_s)
    assert np.abs(decoded[-1, 20, [8, 56]].astype(int) - [[255, 255, 255], [255, 0, 0]]).max() <= 6


@pytest.mark.parametrize(
    ("aspect", "shown"), [(Fraction(16, 11), (48, 93)), (Fraction(8, 9), (48, 57)), (Fraction(99), (48, 64))]
)
def test_pixels_that_are_not_square_are_shown_as_players_do(
    tmp_path: Path, aspect: Fraction, shown: tuple[int, int]
) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for pixels in textured_frames(3, 48, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    decoded, _ = read_all(path)
    assert decoded.shape[1:3] == shown
    assert (probe(path).height, probe(path).width) == shown
    small, _ = read_all(path, resize=24)
    assert small.shape[1:3] == (24, (shown[1] + 1) // 2)


_GARBAGE = """
import gc, sys
from pathlib import Path
from lrcn.video.read import read_all
for _ in range(3):
    frames, _ = read_all(Path(sys.argv[1]))
    gc.collect()
print(frames.shape)
"""


def test_a_named_colour_profile_does_not_end_the_process(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(textured_frames(1, 48, 64)[0]).save(buffer, "PNG", icc_profile=profile)
    path = tmp_path / "profile.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24"
        for number in range(5):
            packet = av.Packet(buffer.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 10)
            container.mux(packet)
    done = subprocess.run([sys.executable, "-c", _GARBAGE, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "(5, 48, 64, 3)"), done.stderr
