"""Features of many files into the cache: batches shared by files and threads that decode, against file after file.

The packaged backbone with random weights, four views; short clips, and pictures, which have one frame each.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.subjects import write_clip
from benchmarks.timing import Figure, compare
from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig
from lrcn.extraction import Part, extract_all
from lrcn.features import FeatureCache, FeatureExtractor, load_or_encode
from lrcn.models.backbones import default_preprocess
from lrcn.models.recognition import RecognitionModel
from lrcn.video.views import CENTER_VIEW, View

NUM_CLIPS, NUM_PICTURES = 8, 48
VIEWS = (CENTER_VIEW, View(0.2, 0.3), View(0.7, 0.1, mirror=True), View(0.9, 0.9, mirror=True))


def run() -> list[Figure]:
    """Check that both ways leave the same features, then time."""
    torch.manual_seed(0)
    backbone = BackboneConfig()
    model = RecognitionModel(RecognitionConfig(backbone=backbone, num_classes=2)).eval()
    preprocess = PreprocessConfig(**{**default_preprocess(backbone.name), "sample_fps": 10.0})
    extractor = FeatureExtractor(model, preprocess)
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [write_clip(folder / f"{i}.mp4", num_frames=40 + 5 * i, seed=i) for i in range(NUM_CLIPS)]
        pictures = [_write_picture(folder / f"{i}.jpg", seed=i) for i in range(NUM_PICTURES)]
        for title, files in ((f"{NUM_CLIPS} short clips", clips), (f"{NUM_PICTURES} pictures", pictures)):
            caches = [FeatureCache(folder / way, "key") for way in ("ours", "plain")]

            def ours(files: list[Path] = files, cache: FeatureCache = caches[0]) -> None:
                shutil.rmtree(folder / "ours", ignore_errors=True)
                extract_all(files, _part_of, extractor.encode, preprocess, cache)

            def one_by_one(files: list[Path] = files, cache: FeatureCache = caches[1]) -> None:
                shutil.rmtree(folder / "plain", ignore_errors=True)
                for path in files:
                    load_or_encode(extractor, cache, path, VIEWS)

            ours()
            one_by_one()
            error = 0.0
            for path in files:
                found, expected = (cache.get(path, VIEWS) for cache in caches)
                assert found is not None
                assert expected is not None
                difference = (found.features - expected.features).abs().max() / expected.features.abs().max()
                error = max(error, float(difference))
            if error > 1e-3:
                raise SystemExit(f"the features differ by {error}: nothing was timed")
            same = f"features equal to {error:.0e} (float16)"
            figures.append(
                Figure(f"features of {title}", "file after file", *compare(ours, one_by_one, rounds=3), same)
            )
    return figures


def _part_of(path: Path) -> Part:
    return Part(path, VIEWS)


def _write_picture(path: Path, *, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((640, 480)).save(path)
    return path
