"""What no frame can be read from is refused in one line; what is damaged gives all that is left, and a warning."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames

from lrcn.errors import LRCNError, MediaError
from lrcn.video.read import probe, read_all


def _sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


def _sound_with_cover(path: Path) -> Path:
    _sound_only(path)
    picture = path.with_suffix(".jpg")
    Image.new("RGB", (32, 32), (200, 0, 0)).save(picture)
    covered = path.with_name(f"covered{path.suffix}")
    with (
        av.open(str(path)) as source,
        av.open(str(covered), "w", format="mp4") as container,
        av.open(str(picture)) as cover,
    ):
        sound = container.add_stream_from_template(source.streams.audio[0])
        art = container.add_stream("mjpeg", rate=1)
        art.width = art.height = 32
        art.pix_fmt = "yuvj420p"
        art.disposition = av.stream.Disposition.attached_pic
        for packet in art.encode(next(cover.decode(video=0)).reformat(format="yuvj420p")):
            container.mux(packet)
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = sound
                container.mux(packet)
    return covered


def _write(name: str, content: bytes | str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / name

    return make


def _folder_without_videos(folder: Path) -> Path:
    (folder / "papers").mkdir()
    (folder / "papers" / "notes.txt").write_text("nothing to see")
    return folder / "papers"


def _playlist(folder: Path) -> Path:
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    return folder / "list.m3u8"


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "sound": (lambda folder: _sound_only(folder / "a.m4a"), "only sound"),
    "sound in mp4": (lambda folder: _sound_only(folder / "a.mp4"), "only sound"),
    "sound with cover": (lambda folder: _sound_with_cover(folder / "a.m4a"), "only sound"),
    "empty": (_write("a.mp4", b""), "the file is empty"),
    "text named mp4": (_write("a.mp4", "Dear diary,\n" * 50), "not a video or image"),
    "text": (_write("a.txt", "Dear diary,\n" * 50), "not a video or image"),
    "csv": (_write("a.csv", "path,label,split\na.mp4,walk,train\n" * 20), "not a video or image"),
    "json": (_write("a.json", '{"a": [1, 2, 3]}' * 20), "not a video or image"),
    "subtitles": (_write("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 9), "no video stream"),
    "svg": (_write("a.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), "not a video or image"),
    "playlist": (_playlist, "not a video or image"),
    "concat list": (_write("a.ffconcat", "ffconcat version 1.0\nfile 'b.mp4'\n"), "not a video or image"),
    "noise": (_write("a.mkv", bytes(np.random.default_rng(0).integers(0, 256, 4000, np.uint8))), "a.mkv: "),
    "png header only": (_write("a.png", b"\x89PNG\r\n\x1a\n"), "a.png: "),
    "missing": (lambda folder: folder / "gone.mp4", "no such file"),
    "address": (lambda folder: Path("http://127.0.0.1:9/a.mp4"), "addresses are not opened"),
    "other address": (lambda folder: Path("rtsp://127.0.0.1:9/a"), "addresses are not opened"),
    "folder": (_folder_without_videos, "not a folder of images only"),
    "empty folder": (lambda folder: folder, "not a folder of images only"),
    "device": (lambda folder: Path("/dev/null"), "no regular file"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_shows_nothing_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    path = make(tmp_path)
    for read in (probe, read_all):
        with pytest.raises(MediaError) as refusal:
            read(path)
        text = str(refusal.value)
        assert text.startswith(f"{path}: ")
        assert message in text
        assert "\n" not in text


def _png_with_header_size(path: Path, width: int, height: int) -> Path:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    return path


def test_an_image_header_of_a_huge_size_is_refused(tmp_path: Path) -> None:
    for width, height in ((16384, 16384), (8193, 8192)):
        with pytest.raises(MediaError, match=r"a\.png: .* px"):
            read_all(_png_with_header_size(tmp_path / "a.png", width, height))


def test_a_picture_too_long_for_the_wanted_short_side_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (1, 6000)).save(tmp_path / "line.png")
    with pytest.raises(MediaError, match=r"line\.png: resize 128 makes 128x768000 px of 1x6000"):
        read_all(tmp_path / "line.png", resize=128)
    frames, _ = read_all(tmp_path / "line.png", resize=(128, 128))
    assert frames.shape == (1, 128, 128, 3)


def test_a_video_header_of_a_huge_size_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", textured_frames(2, 300, 300))
    content = path.read_bytes()
    for element in (b"\xb0", b"\xba"):  # PixelWidth, PixelHeight: two bytes
        assert content.count(element + b"\x82" + struct.pack(">H", 300)) == 1
        content = content.replace(
            element + b"\x82" + struct.pack(">H", 300), element + b"\x82" + struct.pack(">H", 16384)
        )
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mkv: .*67108864 px"):
        read_all(path)


def _cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_a_file_cut_short_gives_what_is_left_and_a_warning(make_clip: MakeClip, tmp_path: Path, name: str) -> None:
    frames = textured_frames(20, 48, 64)
    path = _cut(make_clip(tmp_path / name, frames), 0.5)
    warnings: list[str] = []
    decoded, _ = read_all(path, on_warning=warnings.append)
    assert 5 < len(decoded) < 15
    np.testing.assert_array_equal(decoded, frames[: len(decoded)])
    assert warnings == [f"{path}: decoded {len(decoded)} of about 20 frames (file cut short?)"]


def test_without_a_listener_the_warning_is_a_python_warning(make_clip: MakeClip, tmp_path: Path) -> None:
    path = _cut(make_clip(tmp_path / "a.avi", textured_frames(20, 48, 64)), 0.5)
    with pytest.warns(UserWarning, match="cut short"):
        read_all(path)


def test_stopping_early_is_no_cut(clip20: Path) -> None:
    read_all(clip20, end_s=0.5, on_warning=pytest.fail)


def test_an_mp4_without_its_index_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", textured_frames(20, 48, 64), codec="libx264", pix_fmt="yuv420p")
    with pytest.raises(MediaError, match=r"a\.mp4: not a video or image \(Invalid data"):
        read_all(_cut(path, 0.5))


@pytest.mark.parametrize("damaged", [0, 7, 18, 19])
@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("a.mkv", "ffv1", "bgr0"), ("a.mp4", "mjpeg", "yuvj420p")])
def test_frames_after_a_damaged_packet_are_decoded(
    make_clip: MakeClip, tmp_path: Path, name: str, codec: str, pix_fmt: str, damaged: int
) -> None:
    path = make_clip(tmp_path / name, textured_frames(20, 48, 64), codec=codec, pix_fmt=pix_fmt, options={"g": "1"})
    whole, times_s = read_all(path)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    start, size = packets[damaged]
    content[start + 8 : start + size] = np.random.default_rng(3).bytes(size - 8)
    path.write_bytes(content)
    warnings: list[str] = []
    decoded, decoded_s = read_all(path, on_warning=warnings.append)
    others = [index for index in range(20) if index != damaged]
    if len(decoded) == 20:  # patched up by the decoder
        np.testing.assert_array_equal(decoded[others], whole[others])
    else:
        np.testing.assert_array_equal(decoded, whole[others])
        start_s = times_s[others][0]
        np.testing.assert_allclose(decoded_s, times_s[others] - start_s, atol=1e-9)
    assert len(warnings) == 1
    assert "damaged" in warnings[0]


def test_the_last_frames_do_not_depend_on_decoder_threads(make_clip: MakeClip, tmp_path: Path) -> None:
    frames = textured_frames(60, 48, 64)
    path = make_clip(tmp_path / "a.mp4", frames, 30, codec="libx264", pix_fmt="yuv420p", options={"g": "12"})
    whole, _ = read_all(path)
    with av.open(str(path)) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][-1]
        start, size = last.pos, last.size
    content = bytearray(path.read_bytes())
    content[start + 4 : start + size] = bytes(size - 4)
    path.write_bytes(content)
    decoded, _ = read_all(path, on_warning=lambda message: None)
    assert len(decoded) == 59
    lost = next((i for i in range(59) if not np.array_equal(decoded[i], whole[i])), 59)
    np.testing.assert_array_equal(decoded[lost:], whole[lost + 1 :])


def test_a_header_of_years_a_frame_is_not_believed(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", textured_frames(20, 48, 64), 10)
    content = bytearray(path.read_bytes())
    scale = content.index(b"strh") + 8 + 20  # dwScale of the stream header, before dwRate
    assert struct.unpack_from("<II", content, scale) == (1, 10)
    content[scale + 3] = 0x58
    path.write_bytes(content)
    decoded, _ = read_all(path, sample_fps=10, on_warning=lambda message: None)
    assert 1 <= len(decoded) <= 20
    assert probe(path).duration_s < 10


def test_a_stream_that_begins_in_the_middle_is_damage_and_no_more(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.ts", textured_frames(60, 32, 48), 10, codec="libx264", pix_fmt="yuv420p")
    content = bytearray(path.read_bytes())
    starts = []
    for place in range(0, len(content), 188):
        if int.from_bytes(content[place + 1 : place + 3]) & 0x1FFF != 0x100:
            content[place + 1 : place + 3] = b"\x1f\xff"  # the tables that say what streams there are
        elif content[place + 1] & 0x40:
            starts.append(place)
    content[starts[-1] + 1 : starts[-1] + 3] = b"\x41\x59"  # of another stream, new to ffmpeg: PyAV raises IndexError
    path.write_bytes(content)
    warnings: list[str] = []
    frames, _ = read_all(path, on_warning=warnings.append)
    assert len(frames) >= 50
    (warning,) = warnings
    assert "a.ts: decoded" in warning


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.webp", "", ""),
        ("a.png", "", ""),
        ("a.jpg", "", ""),
    ],
)
def test_damage_anywhere_ends_in_frames_or_in_one_line(
    make_clip: MakeClip, tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    frames = textured_frames(8, 32, 48)
    path = tmp_path / name
    if codec:
        make_clip(path, frames, codec=codec, pix_fmt=pix_fmt)
    else:
        images = [Image.fromarray(pixels) for pixels in frames]
        more = {"save_all": True, "append_images": images[1:]} if name == "a.webp" else {}
        images[0].save(path, **more)
    content = path.read_bytes()
    rng = np.random.default_rng(11)
    for _ in range(20):
        damaged = bytearray(content[: rng.integers(1, len(content) + 1)])
        for place in rng.integers(0, len(damaged), rng.integers(0, 20)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(LRCNError):
            probe(path)
            decoded, times_s = read_all(path, resize=(16, 24), sample_fps=5, on_warning=lambda message: None)
            assert len(decoded) == len(times_s) >= 1
            assert (np.diff(times_s) > 0).all()
