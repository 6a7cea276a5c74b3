"""Videos for the tests: small, deterministic, made on the spot, lossless unless a test asks otherwise."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import pytest
import torch
from hypothesis import settings

from lrcn.config import (
    BackboneConfig,
    CaptioningConfig,
    CaptioningHeader,
    PreprocessConfig,
    RecognitionConfig,
    RecognitionHeader,
)
from lrcn.graphs.exported import ExportedModel
from lrcn.model_file.storage import load, save
from lrcn.models.captioning import CaptioningModel
from lrcn.models.recognition import RecognitionModel
from lrcn.text import Vocabulary

settings.register_profile("lrcn", deadline=None)  # the wall clock of a busy machine is no property of the code
settings.load_profile("lrcn")

# Ray reads these once, when it is first imported: nothing listens but on this machine, and no token is asked for.
os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# A job in the background of a script is born deaf to Ctrl-C, and its children are, too: tests that send it need ears.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with files that have slow tests, and leave out what fetches something unless the command line names it.

    A worker takes a whole file, whose fixtures are then made once: a long one that comes last is waited for alone.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if "network" in config.option.markexpr:
        return
    fetching = [item for item in items if item.get_closest_marker("network")]
    if fetching:
        config.hook.pytest_deselected(items=fetching)
        items[:] = [item for item in items if not item.get_closest_marker("network")]


CHROMIUM_FLAGS = (
    "--no-sandbox",  # root, as CI is, has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
"""With which a browser of the tests keeps to itself."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the browser that tests look at pages with; they are skipped where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return path


class MakeClip(Protocol):
    """Writes RGB frames `(T, H, W, 3)` uint8 to a video file and returns its path."""

    def __call__(
        self,
        path: Path,
        frames: np.ndarray,
        fps: float | Fraction = 10,
        *,
        codec: str = "ffv1",
        pix_fmt: str = "bgr0",
        pts_ms: Sequence[int] | None = None,
        rotation: int = 0,
        audio: bool = False,
        options: dict[str, str] | None = None,
    ) -> Path: ...


def _make_clip(
    path: Path,
    frames: np.ndarray,
    fps: float | Fraction = 10,
    *,
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    pts_ms: Sequence[int] | None = None,
    rotation: int = 0,
    audio: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 1000) if pts_ms is not None else 1 / rate
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream("aac", rate=16000, layout="mono") if audio else None
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = pts_ms[index] if pts_ms is not None else index
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if tone is not None:
            samples = np.arange(int(16000 * len(frames) / rate)) * (2 * np.pi * 440 / 16000)
            sound = av.AudioFrame.from_ndarray(np.float32(0.2 * np.sin(samples))[None], format="fltp", layout="mono")
            sound.sample_rate = 16000
            container.mux(tone.encode(sound))
            container.mux(tone.encode(None))
    return path


@pytest.fixture(scope="session")
def make_clip() -> MakeClip:
    """Write frames to a video: ffv1 in `bgr0` by default, so that what is decoded equals the frames exactly.

    The suffix picks the container (`.avi` keeps times exactly, `.mkv` to a millisecond). `pts_ms` gives every frame
    its own time, for variable frame rate in `.mkv`; `rotation` is the display matrix in degrees counterclockwise.
    """
    return _make_clip


def textured_frames(num_frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return smooth coloured frames `(T, H, W, 3)` uint8, each different from every other."""
    rng = np.random.default_rng(seed)
    t, y, x, _ = np.ogrid[:num_frames, :height, :width, :1]
    speed, down, right, phase = rng.uniform(-0.15, 0.15, (4, 3))
    waves = np.sin(speed * t + down * y + right * x + 20 * phase)
    return np.rint(127.5 + 120 * waves).astype(np.uint8)


@pytest.fixture(scope="session")
def frames20() -> np.ndarray:
    """Twenty frames `(20, 48, 64, 3)`; do not write to them."""
    frames = textured_frames(20, 48, 64)
    frames.flags.writeable = False
    return frames


@pytest.fixture(scope="session")
def clip20(frames20: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`frames20` at 10 fps, lossless, times exact; do not write to it."""
    return _make_clip(tmp_path_factory.mktemp("clips") / "clip20.avi", frames20, 10)


_TINY_BACKBONE = BackboneConfig(
    name="caffenet",
    layer="fc6",
    sizes={"conv1": 4, "conv2": 4, "conv3": 4, "conv4": 4, "conv5": 4, "fc6": 8, "fc7": 8, "input_px": 67},
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a recognition model of three labels with random weights, whose answers differ from window to window.

    It looks at 10 frames per second, in windows of 4 frames, 2 apart.
    """
    header = RecognitionHeader(
        model=RecognitionConfig(
            backbone=_TINY_BACKBONE,
            num_classes=3,
            hidden_size=8,
        ),
        preprocess=PreprocessConfig(resize=72, crop=67, clip_length=4, clip_stride=2),
        labels=("walk", "wave", "jump"),
        provenance={"name": "tiny", "licence": "test"},
    )
    with torch.random.fork_rng():
        torch.manual_seed(57)  # with which the labels of `clip20` differ from window to window
        network = RecognitionModel(header.model)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.dim() == 1:
                    parameter.zero_()
                else:
                    # drawn apart: filling in place would follow the memory order of the backbone's weights
                    parameter.copy_(torch.randn(parameter.shape) * 3 / parameter[0].numel() ** 0.5)
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save(path, header, network.state_dict())
    return path


@pytest.fixture(scope="session")
def tiny_caption_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a captioning model of six words with random weights, which says different things about different pictures.

    Its sentences go on to the greatest length. It takes 10 frames per second of a video.
    """
    words = ("a", "red", "blue", "square", "circle", "moves")
    config = CaptioningConfig(backbone=_TINY_BACKBONE, vocabulary_size=10, embedding_size=6, hidden_size=8)
    with torch.random.fork_rng():
        torch.manual_seed(51)
        network = CaptioningModel(config)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.dim() == 1:
                    parameter.zero_()
                else:
                    parameter.copy_(torch.randn(parameter.shape) * 3 / parameter[0].numel() ** 0.5)
            network.classifier.bias[Vocabulary.EOS] = -4.0
    header = CaptioningHeader(
        model=config,
        preprocess=PreprocessConfig(resize=72, crop=67),
        vocabulary=words,
        provenance={"name": "tiny captions", "licence": "test"},
    )
    path = tmp_path_factory.mktemp("models") / "tiny_captions.safetensors"
    save(path, header, network.state_dict())
    return path


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> tuple[RecognitionHeader, RecognitionModel]:
    """`tiny_model`, loaded; do not write to it."""
    return load(tiny_model)


@pytest.fixture(scope="session")
def exported(
    tiny: tuple[RecognitionHeader, RecognitionModel], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ExportedModel]:
    """Graphs of the tiny model by format; do not write to them."""
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    from lrcn.graphs.conversion import write_graphs

    return {format: write_graphs(*tiny, tmp_path_factory.mktemp(format), format) for format in ("onnx", "openvino")}


@pytest.fixture(scope="session")
def cache_of_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder of all workers: graphs of the packaged backbone, and verdicts on them, take half a minute."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache of all"


@pytest.fixture(scope="session")
def _graphs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    from lrcn.inference.recognition.predictor import Recognizer

    folder = tmp_path_factory.mktemp("kept")
    Recognizer.load(tiny_model, device="cpu", runtime="onnxruntime", cache_dir=folder)
    for verdict in (folder / "runtimes").glob("*.json"):
        verdict.unlink()
    return folder


@pytest.fixture
def kept_graphs(_graphs: Path, tmp_path: Path) -> Path:
    """A cache folder that holds the graphs of `tiny_model`, which take seconds to make, and no verdict on runtimes."""
    return shutil.copytree(_graphs, tmp_path / "kept_graphs")
