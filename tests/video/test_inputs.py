"""Whatever a source is given as, the network looks at the same images of it."""

from __future__ import annotations

import io
import itertools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import MakeClip, textured_frames

import lrcn
from lrcn.config import PreprocessConfig
from lrcn.errors import MediaError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.video.inputs import Source, is_source, name_of_source, network_images

PIXELS = PreprocessConfig(resize=40, crop=32)


def looked_at(source: Source, **options: Any) -> tuple[np.ndarray, np.ndarray, float]:
    chunks = list(network_images(source, PIXELS, on_warning=pytest.fail, **options))
    frames, times_s = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("frames", "times_s"))
    return frames, times_s, chunks[-1].end_s


def through_a_pipe(path: Path) -> io.BufferedReader:
    """Return a file that cannot be rewound."""
    content = path.read_bytes()
    read_end, write_end = os.pipe()

    def write() -> None:
        with os.fdopen(write_end, "wb") as file:
            file.write(content)

    threading.Thread(target=write, daemon=True).start()
    return os.fdopen(read_end, "rb")


def half_read(path: Path) -> io.BytesIO:
    file = io.BytesIO(path.read_bytes())
    file.read(100)
    return file


AS_BYTES: dict[str, Callable[[Path], Any]] = {
    "name": str,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "open file": lambda path: path.open("rb"),
    "half read": half_read,
    "pipe": through_a_pipe,
}


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("still") / "still.png"
    Image.fromarray(textured_frames(1, 48, 64)[0]).save(path)
    return path


@pytest.mark.parametrize("kind", AS_BYTES)
@pytest.mark.parametrize("what", ["video", "late part", "still", "animation", "mp4"])
def test_bytes_and_files_show_what_their_path_shows(
    kind: str, what: str, clip20: Path, still: Path, make_clip: MakeClip, tmp_path: Path
) -> None:
    path, options = {"video": (clip20, {}), "late part": (clip20, {"start_s": 0.5, "end_s": 1.2})}.get(
        what, (still, {})
    )
    if what == "animation":
        path = tmp_path / "a.webp"
        images = [Image.fromarray(frame) for frame in textured_frames(5, 48, 64)]
        images[0].save(path, save_all=True, append_images=images[1:], duration=200, lossless=True)
    elif what == "mp4":  # read back and forth, and from a keyframe on
        path = make_clip(
            tmp_path / "a.mp4",
            textured_frames(120, 48, 64),
            20,
            codec="libx264",
            pix_fmt="yuv420p",
            options={"g": "20"},
        )
        options = {"start_s": 4.0}
    expected, found = looked_at(path, **options), looked_at(AS_BYTES[kind](path), **options)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: torch.from_numpy(frames.copy()),
        lambda frames: torch.from_numpy(frames.copy()).movedim(-1, -3),
        lambda frames: torch.from_numpy(frames.copy()).movedim(-1, -3).contiguous(),
        lambda frames: frames[:, ::-1, ::-1][:, ::-1, ::-1],
    ],
)
@pytest.mark.parametrize("which", [slice(None), 3])
def test_tensors_show_what_arrays_show(
    frames20: np.ndarray, change: Callable[[np.ndarray], Any], which: slice | int
) -> None:
    if which == 3:
        expected = looked_at(frames20[3])
        assert len(expected[0]) == 1
        given = change(frames20[3:4])[0]
    else:
        expected, given = looked_at(frames20), change(frames20)
    for ours, theirs in zip(looked_at(given), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_an_image_of_pillow_shows_what_its_file_shows(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(textured_frames(1, 48, 64)[0]).convert(mode).save(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(looked_at(image)[0], looked_at(path)[0])
        assert image.getpixel((3, 3)) is not None  # still open: who gave it may go on with it
        assert name_of_source(image) == str(path)
    bare = Image.fromarray(textured_frames(1, 48, 64)[0])
    assert looked_at(bare)[0].shape == (1, 40, 53, 3)
    assert name_of_source(bare) == "image"


def test_an_animation_of_pillow_plays(tmp_path: Path) -> None:
    images = [Image.fromarray(frame) for frame in textured_frames(4, 48, 64)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100)
    with Image.open(tmp_path / "a.gif") as image:
        assert len(looked_at(image)[0]) == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "got builtins.int"),
        (None, "got builtins.NoneType"),
        ({"a": 1}, "got builtins.dict"),
        (np.zeros((3, 8, 8), np.uint8), r"got \(3, 8, 8\) of uint8"),
        (np.zeros((2, 8, 8, 3)), r"got \(2, 8, 8, 3\) of float64"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"got \(0, 8, 8, 3\) of uint8"),
        (torch.zeros(2, 3, 8, 8), r"got \(2, 3, 8, 8\) of float32"),
        (torch.zeros(2, 4, 8, 8, dtype=torch.uint8), r"got \(2, 4, 8, 8\) of uint8"),
        (io.StringIO("abc"), "opened as text; open it with mode 'rb'"),
        (b"", "bytes: "),
        (b"no video at all", "bytes: not a video or image"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n",
            "bytes: not a video or image",
        ),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "bytes: not a video or image"),
    ],
)
def test_what_shows_nothing_is_refused_with_what_came(source: Any, message: str) -> None:
    with pytest.raises(MediaError, match=message) as refusal:
        looked_at(source)
    assert "\n" not in str(refusal.value)


def test_an_open_file_is_called_by_its_name(still: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"nothing")
    with path.open("rb") as file, pytest.raises(MediaError, match=r"a\.mkv: not a video"):
        looked_at(file)
    with still.open("rb") as file:
        assert name_of_source(file) == str(still)
        looked_at(file)
        assert not file.closed
    assert [name_of_source(source) for source in (b"", io.BytesIO(), np.zeros(1), torch.zeros(1))] == [
        "bytes",
        "bytes",
        "array",
        "tensor",
    ]


def test_one_source_is_told_from_several(still: Path) -> None:
    with still.open("rb") as file, Image.open(still) as image:
        assert all(map(is_source, ("a", still, b"a", file, image, np.zeros(1), torch.zeros(1))))
    assert not any(map(is_source, ([], ("a",), iter("a"))))


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample_fps", [None, 10.0, 4.0, 3.0, 30.0])
@pytest.mark.parametrize(("start_s", "end_s", "expected_s"), [(0, None, 2.0), (0.3, 1.2, 1.2), (1.5, 9.0, 2.0)])
@pytest.mark.parametrize("chunk_size", [1, 7, 64])
def test_the_last_chunk_ends_with_the_video_or_the_part(
    clip20: Path, sample_fps: float | None, start_s: float, end_s: float | None, expected_s: float, chunk_size: int
) -> None:
    config = PreprocessConfig(resize=40, crop=32, sample_fps=sample_fps)
    chunks = list(network_images(clip20, config, start_s=start_s, end_s=end_s, chunk_size=chunk_size))
    step_s = 1 / (sample_fps or 10)
    assert chunks[-1].end_s == pytest.approx(min(expected_s, chunks[-1].times_s[-1] + step_s))
    for chunk, following in itertools.pairwise(chunks):
        assert chunk.end_s == pytest.approx(following.times_s[0])


# --- predictors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AS_BYTES)
def test_predictors_take_bytes_and_files(
    kind: str, tiny_model: Path, tiny_caption_model: Path, clip20: Path, still: Path
) -> None:
    recognizer = Recognizer.load(tiny_model, device="cpu")
    captioner = Captioner.load(tiny_caption_model, device="cpu")
    for path in (clip20, still):
        assert recognizer(AS_BYTES[kind](path)).segments == recognizer(path).segments
        expected, found = captioner(path), captioner(AS_BYTES[kind](path))
        assert (found.captions, found.duration_s) == (expected.captions, expected.duration_s)
    one_by_one = [recognizer(AS_BYTES[kind](path)).label for path in (clip20, still)]
    assert [result.label for result in recognizer.stream([AS_BYTES[kind](p) for p in (clip20, still)])] == one_by_one
    assert [result.label for result in recognizer.stream(AS_BYTES[kind](clip20))] == one_by_one[:1]


def test_predictors_take_images_and_tensors(
    tiny_model: Path, tiny_caption_model: Path, frames20: np.ndarray, still: Path
) -> None:
    recognizer, captioner = lrcn.load(tiny_model, device="cpu"), lrcn.load(tiny_caption_model, device="cpu")
    tensor = torch.from_numpy(frames20.copy()).movedim(-1, 1)
    assert recognizer(tensor).segments == recognizer(frames20).segments
    assert captioner(tensor).captions == captioner(frames20).captions
    with Image.open(still) as image:
        assert recognizer(image).segments == recognizer(still).segments
        found, together = (
            captioner(image),
            captioner([image, still, np.asarray(image), torch.from_numpy(np.array(image))]),
        )
    assert found.captions == captioner(still).captions
    assert [found.duration_s, found.source] == [0.0, str(still)]
    assert [result.text for result in together] == [found.text] * 4
    assert [result.source for result in together] == [str(still), str(still), "array", "tensor"]


def test_a_picture_is_opened_once(tiny_caption_model: Path, still: Path) -> None:
    captioner = Captioner.load(tiny_caption_model, device="cpu")
    opened: list[str] = []

    def listen(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and str(args[0]) == str(still):
            opened.append(event)

    sys.addaudithook(listen)
    captioner(still)
    assert len(opened) == 1
    list(captioner.stream([still, still]))
    assert len(opened) == 3
