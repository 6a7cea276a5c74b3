"""Features of many files into the cache: batches shared by files and threads that decode, against file after file.

And clips with OpenVINO in float32, against torch. The packaged backbone with random weights, four views; short
clips, and pictures, which have one frame each.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.subjects import write_clip
from benchmarks.timing import Figure, compare
from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.encoding import FrameEncoder
from lrcn.extraction import extract_all
from lrcn.features import FeatureCache, Part, TorchEncoder, load_or_encode
from lrcn.inference.runtimes import open_backbone_runtime
from lrcn.models.backbones import default_preprocess
from lrcn.models.recognition import RecognitionModel
from lrcn.video.views import CENTER_VIEW, View

NUM_CLIPS, NUM_PICTURES = 8, 48
VIEWS = (CENTER_VIEW, View(0.2, 0.3), View(0.7, 0.1, mirror=True), View(0.9, 0.9, mirror=True))


def run() -> list[Figure]:
    """Check that all ways leave the same features, then time."""
    torch.manual_seed(0)
    backbone = BackboneConfig()
    model = RecognitionModel(RecognitionConfig(backbone=backbone, num_classes=2)).eval()
    preprocess = PreprocessConfig(**{**default_preprocess(backbone.name), "sample_fps": 10.0})
    header = RecognitionHeader(model=model.config, preprocess=preprocess, labels=("a", "b"))
    encoder = TorchEncoder(model.backbone, preprocess)
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        openvino = open_backbone_runtime("openvino", header, model, device="cpu", cache_dir=folder / "runtimes")
        clips = [write_clip(folder / f"{i}.mp4", num_frames=40 + 5 * i, seed=i) for i in range(NUM_CLIPS)]
        pictures = [_write_picture(folder / f"{i}.jpg", seed=i) for i in range(NUM_PICTURES)]
        caches = {way: FeatureCache(folder / way, "key") for way in ("torch", "openvino", "plain")}

        def together(files: list[Path], way: str, encoder: FrameEncoder) -> None:
            shutil.rmtree(folder / way, ignore_errors=True)
            extract_all(files, _part_of, encoder, preprocess, caches[way])

        def one_by_one(files: list[Path]) -> None:
            shutil.rmtree(folder / "plain", ignore_errors=True)
            for path in files:
                load_or_encode(encoder, preprocess, caches["plain"], Part(path, VIEWS))

        for title, files in ((f"{NUM_CLIPS} short clips", clips), (f"{NUM_PICTURES} pictures", pictures)):
            ours, plain = partial(together, files, "torch", encoder), partial(one_by_one, files)
            ours()
            plain()
            same = _same(files, caches["torch"], caches["plain"])
            figures.append(Figure(f"features of {title}", "file after file", *compare(ours, plain, rounds=3), same))
        ours = partial(together, clips, "torch", encoder)
        other = partial(together, clips, "openvino", openvino)
        ours()
        other()
        same = _same(clips, caches["openvino"], caches["torch"])
        for what, clock in (("", time.perf_counter), (", CPU time", time.process_time)):
            ratio = compare(other, ours, rounds=3, clock=clock)
            figures.append(Figure(f"features of {NUM_CLIPS} short clips, openvino{what}", "torch", *ratio, same))
    return figures


def _same(files: Sequence[Path], cache: FeatureCache, baseline: FeatureCache) -> str:
    """Say how far the features are from the baseline's, or stop."""
    error = 0.0
    for path in files:
        found, expected = (kept.get(path, VIEWS) for kept in (cache, baseline))
        assert found is not None
        assert expected is not None
        difference = (found.features - expected.features).abs().max() / expected.features.abs().max()
        error = max(error, float(difference))
    if error > 1e-3:
        raise SystemExit(f"the features differ by {error}: nothing was timed")
    return f"features equal to {error:.0e} (float16)"


def _part_of(path: Path) -> Part:
    return Part(path, VIEWS)


def _write_picture(path: Path, *, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((640, 480)).save(path)
    return path
