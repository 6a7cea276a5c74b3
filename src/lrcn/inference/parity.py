"""Does another runtime give the features that torch gives? Random and real frames, three batch sizes, stated limits."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import as_file

import numpy as np
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.encoding import FrameEncoder
from lrcn.errors import MissingExtraError
from lrcn.video.inputs import network_images
from lrcn.video.views import CENTER_VIEW

BATCH_SIZES = (1, 3, 16)
_REAL_CLIP = "walking.mp4"
_REAL_FRAMES = 48


@dataclass(frozen=True)
class Limits:
    """How far a runtime may be from torch in fp32."""

    feature: float
    """Length of the difference over length of the feature vectors, all frames together."""
    prob: float
    """Largest difference of any class probability on windows of the real clip: a top class can change only where it
    led by less than twice this."""


LIMITS = {"fp32": Limits(1e-4, 1e-4), "bf16": Limits(0.06, 0.05), "int8": Limits(0.3, 0.12)}
"""By precision: rounding alone; 8 bits of mantissa; 8 bits with ranges from calibration."""


class FeatureCheck:
    """The features that torch gives of the packaged clip (`real`) and of noise (`random`)."""

    def __init__(self, reference: FrameEncoder, preprocess: PreprocessConfig) -> None:
        """Take torch in fp32 and the model's pixels; torch runs at the first use."""
        self._reference = reference
        self._preprocess = preprocess

    @cached_property
    def _images(self) -> dict[str, NDArray[np.uint8]]:
        real = real_images(self._preprocess)
        noise = np.random.default_rng(0).integers(0, 256, (max(BATCH_SIZES), *real.shape[1:]), dtype=np.uint8)
        return {"real": real, "random": noise}

    @cached_property
    def expected(self) -> dict[str, NDArray[np.float32]]:
        """Features `(N, D)` by kind of frames."""
        return {kind: _encode(self._reference, images, 16) for kind, images in self._images.items()}

    def measure(self, candidate: FrameEncoder, size: int) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
        """Return the features that a runtime gives in batches of `size`, and their errors as in `Limits`, by kind."""
        found = {kind: _encode(candidate, images, size) for kind, images in self._images.items()}
        return found, {kind: relative_error(found[kind], expected) for kind, expected in self.expected.items()}


@dataclass(frozen=True)
class FeatureParity:
    """Largest errors of a backbone, against torch in fp32."""

    precision: str
    feature_error: float
    """As in `Limits`, on real frames; 0 for models that read ready vectors."""
    random_feature_error: float
    """The same on random frames; for reduced precision it is told, not judged: noise is nothing a CNN knows."""

    @property
    def passed(self) -> bool:
        """Whether all is within the limits."""
        random_ok = self.precision != "fp32" or self.random_feature_error <= LIMITS["fp32"].feature
        return random_ok and self.feature_error <= LIMITS[self.precision].feature

    def __str__(self) -> str:
        return (
            f"largest error of features against torch: {self.feature_error:.1e} (limit "
            f"{LIMITS[self.precision].feature:g}; on random frames {self.random_feature_error:.1e})"
        )


class FeatureParityCheck:
    """The features of torch, to be compared with those of other runtimes."""

    report = FeatureParity

    def __init__(self, features: FeatureCheck) -> None:
        """Take what compares them."""
        self._features = features

    def measure(self, candidate: FrameEncoder) -> FeatureParity:
        """Run a runtime on the same frames, at each of `BATCH_SIZES`, and return the largest errors."""
        errors = [self._features.measure(candidate, size)[1] for size in BATCH_SIZES]
        real, random = (largest([error[kind] for error in errors]) for kind in ("real", "random"))
        return FeatureParity(precision_of(candidate), real, random)


def precision_of(runtime: FrameEncoder) -> str:
    """Return the row of `LIMITS` that holds for a runtime."""
    return runtime.name.partition("-")[2] or "fp32"


def relative_error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the length of the difference over the length of what is expected."""
    return float(np.linalg.norm(found - expected) / (np.linalg.norm(expected) or 1.0))


def real_images(preprocess: PreprocessConfig) -> NDArray[np.uint8]:
    """Return frames of the packaged clip as a network sees them before the crop, `(N, H, W, 3)`.

    Models of the flow stream get the clip's flow, or its frames where OpenCV is not installed.
    """
    with as_file(importlib.resources.files("lrcn") / "assets" / _REAL_CLIP) as path:
        try:
            return _first_images(str(path), preprocess)
        except MissingExtraError:
            return _first_images(str(path), replace(preprocess, stream="rgb"))


def _first_images(path: str, preprocess: PreprocessConfig) -> NDArray[np.uint8]:
    return next(network_images(path, preprocess, chunk_size=_REAL_FRAMES)).frames


def _encode(runtime: FrameEncoder, images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    parts = [runtime.encode(images[first : first + size], CENTER_VIEW) for first in range(0, len(images), size)]
    return np.concatenate(parts)


def largest(values: list[float]) -> float:
    """Return the largest error; infinity where one is no number."""
    return float("inf") if np.isnan(values).any() else max(values)
