"""Still images, animated images and folders of images."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import textured_frames
from tests.video.tiled_images import write_tiled

from lrcn.errors import MediaError
from lrcn.video.read import probe, read_all


def _save_all(folder: Path, frames: np.ndarray, pattern: str = "frame{}.png", first: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(frames, start=first):
        Image.fromarray(pixels).save(folder / pattern.format(index))
    return folder


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", {}),
        (".bmp", {}),
        (".tiff", {}),
        (".ppm", {}),
        (".webp", {"lossless": True}),
        (".jpg", {"quality": 100, "subsampling": 0}),
    ],
)
def test_a_still_image_is_a_video_of_one_frame(tmp_path: Path, suffix: str, options: dict[str, object]) -> None:
    frame = textured_frames(1, 31, 45)[0]
    path = tmp_path / f"a{suffix}"
    Image.fromarray(frame).save(path, **options)
    for name in (path, path.rename(tmp_path / "b.mp4")):  # told by content
        path = name if name.exists() else tmp_path / "b.mp4"
        decoded, times_s = read_all(path, sample_fps=10)
        assert decoded.shape == (1, 31, 45, 3)
        assert np.abs(decoded[0].astype(int) - frame).max() <= (4 if suffix == ".jpg" else 0)
        assert times_s.tolist() == [0.0]
    info = probe(path)
    assert (info.width, info.height, info.num_frames, info.fps) == (45, 31, 1, pytest.approx(30))


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "I;16"])
def test_every_colour_mode_of_a_still(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    image = Image.fromarray(ramp.astype(np.uint16) * 257 if mode == "I;16" else ramp).convert(mode)
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    image.save(path)
    decoded, _ = read_all(path)
    expected = ramp if mode != "1" else np.asarray(image.convert("L"))
    assert np.abs(decoded[0].astype(int) - expected[..., None]).max() <= 1


@pytest.mark.parametrize("suffix", [".webp", ".png", ".avif"])
def test_animations_keep_their_frames_and_times(tmp_path: Path, suffix: str) -> None:
    frames = textured_frames(6, 24, 32)
    images = [Image.fromarray(pixels) for pixels in frames]
    path = tmp_path / f"a{suffix}"
    durations_ms = [100, 40, 300, 60, 100, 200]
    images[0].save(path, save_all=True, append_images=images[1:], duration=durations_ms, lossless=True)
    decoded, times_s = read_all(path, on_warning=pytest.fail)
    assert np.abs(decoded.astype(int) - frames).max() <= (20 if suffix == ".avif" else 0)
    starts_s = np.cumsum([0, *durations_ms[:-1]]) / 1000
    np.testing.assert_allclose(times_s, starts_s)
    sampled, sampled_s = read_all(path, sample_fps=20)
    shown = [int(np.flatnonzero(starts_s <= time_s + 1e-3)[-1]) for time_s in sampled_s]
    np.testing.assert_array_equal(sampled, decoded[shown])
    assert len(sampled) == 16
    assert probe(path).duration_s == pytest.approx(0.8)
    assert probe(path).num_frames == 6


def test_a_frame_of_an_animation_that_claims_hours_is_short(tmp_path: Path) -> None:
    images = [Image.fromarray(pixels) for pixels in textured_frames(3, 24, 32)]
    path = tmp_path / "a.webp"
    images[0].save(path, save_all=True, append_images=images[1:], duration=[100, 2**23, 100], lossless=True)
    assert probe(path).duration_s == pytest.approx(0.3)


def test_a_folder_of_images_plays_at_30_fps_in_natural_order(tmp_path: Path) -> None:
    frames = textured_frames(12, 24, 32)
    folder = _save_all(tmp_path / "shots", frames)  # frame8 ... frame19
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "Thumbs.db").write_bytes(b"x")
    decoded, times_s = read_all(folder, on_warning=pytest.fail)
    np.testing.assert_array_equal(decoded, frames)
    np.testing.assert_allclose(times_s, np.arange(12) / 30)
    np.testing.assert_array_equal(read_all(folder, sample_fps=10)[0], frames[::3])
    np.testing.assert_array_equal(read_all(folder, start_s=0.2)[0], frames[6:])
    info = probe(folder)
    assert (info.num_frames, info.width, info.height) == (12, 32, 24)
    assert info.duration_s == pytest.approx(0.4)


def test_a_damaged_image_in_a_folder_is_left_out_with_a_warning(tmp_path: Path) -> None:
    frames = textured_frames(5, 24, 32)
    folder = _save_all(tmp_path / "shots", frames, first=1)
    damaged = folder / "frame3.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    warnings: list[str] = []
    decoded, times_s = read_all(folder, on_warning=warnings.append)
    np.testing.assert_array_equal(decoded, frames[[0, 1, 3, 4]])
    np.testing.assert_allclose(times_s, np.array([0, 1, 3, 4]) / 30)
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{folder}: left out {damaged}: ")


def test_images_of_other_sizes_are_resized_to_the_first(tmp_path: Path) -> None:
    folder = _save_all(tmp_path / "shots", textured_frames(2, 24, 32), first=1)
    _save_all(folder, textured_frames(1, 50, 40), first=3)
    warnings: list[str] = []
    assert read_all(folder, on_warning=warnings.append)[0].shape == (3, 24, 32, 3)
    assert ["shape of its frames changes" in warning for warning in warnings] == [True]


def test_a_damaged_still_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(textured_frames(1, 64, 64)[0]).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MediaError, match=r"a\.jpg: the image is damaged"):
        read_all(path)


def _gradient(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 60)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
@pytest.mark.parametrize(("turns", "mirror_axis"), [(0, None), (1, None), (3, 0), (0, 1)])
def test_a_picture_of_tiles_is_read_whole_and_upright(
    tmp_path: Path, suffix: str, turns: int, mirror_axis: int | None
) -> None:
    stored = _gradient(130, 200)
    path = tmp_path / f"phone{suffix}"
    write_tiled(path, stored, tile=64, turns=turns, mirror_axis=mirror_axis)
    expected = np.rot90(stored, turns)
    if mirror_axis is not None:
        expected = np.flip(expected, axis=mirror_axis)
    decoded, _ = read_all(path)
    assert decoded.shape[1:] == expected.shape
    assert np.abs(decoded[0].astype(int) - expected).mean() < 2


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_a_damaged_picture_of_tiles_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"phone{suffix}"
    write_tiled(path, _gradient(130, 200), tile=64)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(MediaError, match="damaged"):
        read_all(path)


def test_transparent_avif_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, 16:] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4")
    decoded, _ = read_all(tmp_path / "a.avif")
    assert np.abs(decoded[0, 8, [4, 28]].astype(int) - [[255, 255, 255], [255, 0, 0]]).max() <= 3


def _exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """An EXIF block of entries (tag, type, count, four bytes of value), as no writer that checks would make it."""
    rows = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)


@pytest.mark.parametrize(
    ("entries", "turned"),
    [
        ([(0x0112, 3, 1, b"\x06\0\0\0"), (0x011A, 2, 4, b"abc\0")], True),  # text where a resolution belongs
        ([(0x0112, 3, 1, b"\x06\0\0\0"), (0x0128, 9, 1, b"\xff\xff\xff\xff")], True),
        ([(0x0112, 2, 2, b"6\0\0\0")], True),  # text where the orientation belongs
        ([(0x0112, 2, 4, b"top\0")], False),
        ([(0x0112, 3, 1, b"\x63\0\0\0")], False),  # 99
        ([(0x0112, 5, 1, b"\xff\xff\xff\xff")], False),  # a fraction that lies past the end
        ([(0x0112, 3, 2, b"\x06\0\x06\0")], True),  # two of them
    ],
)
def test_odd_exif_does_not_refuse_a_picture(
    tmp_path: Path, entries: list[tuple[int, int, int, bytes]], turned: bool
) -> None:
    buffer = io.BytesIO()
    stored = _gradient(30, 44)
    Image.fromarray(stored).save(buffer, "JPEG", quality=95)
    data, block = buffer.getvalue(), _exif(*entries)
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    decoded, _ = read_all(path)
    expected = np.rot90(stored, -1) if turned else stored
    assert decoded.shape[1:] == expected.shape
    assert np.abs(decoded[0].astype(int) - expected).mean() < 4


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_black_and_white_are_refused(tmp_path: Path, dtype: type[np.generic]) -> None:
    Image.fromarray(np.ones((20, 20), dtype)).save(tmp_path / "a.tiff")
    with pytest.raises(MediaError, match="none is black or white; save it in 8 or 16 bits"):
        read_all(tmp_path / "a.tiff")


def test_a_16_bit_portable_grey_map_keeps_its_grey(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 4 4 65535\n" + np.full(16, 30000, ">u2").tobytes())
    decoded, _ = read_all(tmp_path / "a.pgm")
    assert (decoded == round(30000 / 257)).all()


def test_a_picture_whose_text_inflates_without_end_is_refused_by_the_first_reader(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(_gradient(30, 44)).save(buffer, "PNG")
    data = buffer.getvalue()
    bomb = b"Comment\0\0" + zlib.compress(bytes(2**27), 9)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    path = tmp_path / "bomb.png"
    path.write_bytes(data[:33] + chunk + data[33:])  # after the header
    script = "import sys; from pathlib import Path; from lrcn.video.read import read_all; read_all(Path(sys.argv[1]))"
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30)); "
    done = subprocess.run(
        [sys.executable, "-c", limited + script, str(path)], capture_output=True, text=True, check=False
    )
    assert "MediaError" in done.stderr
    assert "too large" in done.stderr
