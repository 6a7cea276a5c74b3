from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.test_features import CORNER, PIXELS, make_model

from lrcn.config import RecognitionHeader
from lrcn.encoding import FrameEncoder
from lrcn.errors import MediaError
from lrcn.extraction import extract_all
from lrcn.features import FeatureCache, Part, TorchEncoder, encode_video, features_key, load_or_encode
from lrcn.inference.runtimes import open_backbone_runtime
from lrcn.models.recognition import RecognitionModel
from lrcn.video.views import CENTER_VIEW, View


@pytest.fixture(scope="module")
def model() -> RecognitionModel:
    return make_model()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> list[Part]:
    """Videos of several lengths and sizes, one of them in two parts, and pictures."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    found = []
    for number, (frames, height, width) in enumerate([(3, 80, 96), (41, 96, 80), (17, 72, 72), (26, 80, 96)]):
        pixels = rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
        clip = make_clip(folder / f"{number}.avi", pixels)
        found.append(Part(clip, (CENTER_VIEW, CORNER)))
    found.append(Part(clip, (CENTER_VIEW,), 0.5, 1.5))
    for number in range(5):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (90, 100, 3), dtype=np.uint8)).save(path)
        found.append(Part(path, (CENTER_VIEW, CORNER)))
    return found


def open_backbone(name: str, model: RecognitionModel, kept: Path) -> FrameEncoder:
    header = RecognitionHeader(model=model.config, preprocess=PIXELS, labels=("a", "b"))
    return open_backbone_runtime(name, header, model, device="cpu", cache_dir=kept)


def extract(
    model: RecognitionModel, parts: list[Part], root: Path, runtime: FrameEncoder | None = None, **options: Any
) -> FeatureCache:
    encoder = runtime or TorchEncoder(model.backbone, PIXELS)
    cache = FeatureCache(root, features_key(model, PIXELS, encoder.name))
    report = extract_all(parts, lambda part: part, encoder, PIXELS, cache, **options)
    assert not report.failures
    assert report.encoded + report.kept == len(parts)
    return cache


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_features_are_those_of_one_file_after_the_other(
    model: RecognitionModel, parts: list[Part], tmp_path: Path
) -> None:
    cache = extract(model, parts, tmp_path / "together", workers=3)

    encoder = TorchEncoder(model.backbone, PIXELS)
    alone = FeatureCache(tmp_path / "alone", "key")
    for part in parts:
        expected = load_or_encode(encoder, PIXELS, alone, part)
        found = cache.get(part)
        assert found is not None
        # as near as float16 lets them be: its neighbours are 2^-11 of the value apart
        torch.testing.assert_close(found.features, expected.features, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(found.times_s, expected.times_s)
        assert (found.duration_s, found.warnings) == (expected.duration_s, expected.warnings)


@pytest.mark.parametrize("name", ["torch", "onnxruntime", "openvino"])
def test_neither_workers_nor_what_was_there_change_a_bit(
    name: str, model: RecognitionModel, parts: list[Part], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    runtime = open_backbone(name, model, tmp_path_factory.mktemp("runtimes"))
    extract(model, parts, tmp_path / "one", runtime, workers=1)
    extract(model, parts[::-1], tmp_path / "three", runtime, workers=3)
    extract(model, parts[3:5], tmp_path / "later", runtime, workers=2)
    extract(model, parts, tmp_path / "later", runtime, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "three") == contents(tmp_path / "later")


def test_each_crop_passes_the_cnn_once_in_batches_of_one_size(
    model: RecognitionModel, parts: list[Part], tmp_path: Path
) -> None:
    seen: list[int] = []
    hook = model.backbone.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    cache = extract(model, parts, tmp_path, batch_size=10)
    hook.remove()

    crops = 0
    for part in parts:
        found = cache.get(part)
        assert found is not None
        crops += found.features.shape[0] * found.features.shape[1]
    assert seen == [10] * -(-crops // 10)


def test_same_part_is_encoded_once(model: RecognitionModel, parts: list[Part], tmp_path: Path) -> None:
    encoder = TorchEncoder(model.backbone, PIXELS)
    cache = FeatureCache(tmp_path, "key")
    report = extract_all([parts[0]] * 4, lambda part: part, encoder, PIXELS, cache, workers=4)
    assert (report.encoded, report.kept) == (1, 3)


def test_squashed_views_are_those_of_the_whole_frame(
    model: RecognitionModel, parts: list[Part], tmp_path: Path
) -> None:
    part = replace(parts[1], views=(CENTER_VIEW, View(squash=True)))
    cache = extract(model, [part], tmp_path)
    found = cache.get(part)
    assert found is not None
    expected = encode_video(part.path, TorchEncoder(model.backbone, PIXELS), PIXELS, part.views).features
    torch.testing.assert_close(found.features, expected, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(
    model: RecognitionModel, parts: list[Part], tmp_path: Path
) -> None:
    broken, missing = Part(tmp_path / "broken.mp4"), Part(tmp_path / "missing.mp4")
    broken.path.write_bytes(b"no video")
    beyond = replace(parts[0], start_s=50.0)
    encoder = TorchEncoder(model.backbone, PIXELS)
    cache = FeatureCache(tmp_path / "cache", "key")
    seen: list[int] = []

    report = extract_all(
        [broken, *parts, missing, beyond],
        lambda part: part,
        encoder,
        PIXELS,
        cache,
        on_progress=lambda done, kept: seen.append(done),
    )

    assert set(report.failures) == {broken, missing, beyond}
    assert "not a video" in str(report.failures[broken])
    assert report.encoded == len(parts)
    assert seen == sorted(seen)
    assert seen[-1] == len(parts) + 3


def test_item_whose_part_is_unknown_is_left_out(model: RecognitionModel, parts: list[Part], tmp_path: Path) -> None:
    def part_of(part: Part) -> Part:
        if part is parts[1]:
            raise MediaError("cannot be read")
        return part

    encoder = TorchEncoder(model.backbone, PIXELS)
    cache = FeatureCache(tmp_path, "key")
    report = extract_all(parts, part_of, encoder, PIXELS, cache)
    assert (report.encoded, report.failures) == (len(parts) - 1, {})


@pytest.mark.parametrize("place", ["decoding", "cnn"])
def test_other_errors_end_all_threads(model: RecognitionModel, parts: list[Part], tmp_path: Path, place: str) -> None:
    def part_of(part: Part) -> Part:
        if place == "decoding" and part is parts[2]:
            raise RuntimeError("out of order")
        return part

    def encode(images: Any, view: View) -> Any:
        if place == "cnn":
            raise RuntimeError("out of order")
        return encode_rightly(images, view)

    encoder = TorchEncoder(model.backbone, PIXELS)
    encode_rightly, encoder.encode = encoder.encode, encode  # type: ignore[method-assign]
    cache = FeatureCache(tmp_path, "key")
    with pytest.raises(RuntimeError, match="out of order"):
        extract_all(parts, part_of, encoder, PIXELS, cache, workers=3)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lrcn-decode")]


SLOWLY = """
import sys, time
from pathlib import Path
import torch
from tests.test_extraction import extract, open_backbone
from tests.test_features import make_model
from lrcn.features import Part
torch.set_num_threads(1)
model = make_model()
runtime = open_backbone(sys.argv[1], model, Path(sys.argv[2]))
encode = runtime.encode
runtime.encode = lambda images, view: (time.sleep(0.1), encode(images, view))[1]
extract(model, [Part(Path(path)) for path in sys.argv[4:]], Path(sys.argv[3]), runtime, workers=2)
"""


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_killed_extraction_goes_on_where_it_stopped(
    name: str, model: RecognitionModel, parts: list[Part], tmp_path: Path
) -> None:
    files = [Part(part.path) for part in parts if part.start_s == 0]
    runtimes, where = tmp_path / "runtimes", tmp_path / "killed"
    runtime = open_backbone(name, model, runtimes)
    command = [sys.executable, "-c", SLOWLY, name, *map(str, (runtimes, where, *(part.path for part in files)))]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], env={**os.environ}) as process:
        while len([*where.rglob("[!.]*.json")]) < 2:  # those with a dot are half written
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = len([*where.rglob("[!.]*.json")])
    assert kept < len(files)

    cache = FeatureCache(where, features_key(model, PIXELS, runtime.name))
    report = extract_all(files, lambda part: part, runtime, PIXELS, cache)

    assert (report.kept, report.encoded) == (kept, len(files) - kept)
    extract(model, files, tmp_path / "whole", runtime)
    whole = contents(tmp_path / "whole")
    assert whole.items() <= contents(where).items()  # beside it may lie what was half written
