"""Does another runtime say what torch says? Random and real frames, three batch sizes, stated limits."""

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
from lrcn.inference.recognition.runtime import Runtime
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


@dataclass(frozen=True)
class Parity:
    """Largest errors found, against torch in fp32."""

    precision: str
    feature_error: float
    """As in `Limits`, on real frames and, for fp32, on random ones."""
    random_feature_error: float
    """The same on random frames; for reduced precision it is told, not judged: noise is nothing a CNN knows."""
    prob_error: float
    step_error: float
    """As `prob_error`, of the probabilities and the state after each of some steps, all from the same features; 0 where
    the head cannot go on frame by frame."""
    top_class_equal: float
    """Share of the windows of the real clip whose top class is the same, 0-1."""

    @property
    def passed(self) -> bool:
        """Whether all is within the limits."""
        limits = LIMITS[self.precision]
        exact = LIMITS["fp32"]
        random_ok = self.precision != "fp32" or self.random_feature_error <= exact.feature
        return (
            random_ok
            and self.feature_error <= limits.feature
            and self.prob_error <= limits.prob
            and self.step_error <= exact.prob
        )

    def __str__(self) -> str:
        limits = LIMITS[self.precision]
        return (
            f"largest error against torch: probabilities {self.prob_error:.1e} (limit {limits.prob:g}), "
            f"features {self.feature_error:.1e} (limit {limits.feature:g}; on random frames "
            f"{self.random_feature_error:.1e}), steps {self.step_error:.1e}; "
            f"top class equal in {self.top_class_equal:.1%} of windows"
        )


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
    """Largest errors of a backbone alone, against torch in fp32; fields as in `Parity`."""

    precision: str
    feature_error: float
    random_feature_error: float

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


class ParityCheck:
    """What torch says about the packaged clip and about noise, to be compared with what other runtimes say."""

    report = Parity

    def __init__(self, reference: Runtime, preprocess: PreprocessConfig) -> None:
        """Take torch in fp32 and the model's pixels; torch runs when the first runtime is measured."""
        self._reference = reference
        self._features = FeatureCheck(reference, preprocess)
        self._clip_length = preprocess.clip_length

    @cached_property
    def _probs(self) -> NDArray[np.float32]:
        embedded = self._reference.embed(self._features.expected["real"])
        return self._reference.clip_probs(_windows(embedded, self._clip_length))

    def measure(self, candidate: Runtime) -> Parity:
        """Run a runtime on the same, at each of `BATCH_SIZES`, and return the largest errors."""
        errors: dict[str, list[float]] = {"real": [], "random": [], "prob": [], "step": [0.0]}
        top_class_equal = 1.0
        for size in BATCH_SIZES:
            found, of_features = self._features.measure(candidate, size)
            for kind, error in of_features.items():
                errors[kind].append(error)
            windows = _windows(candidate.embed(found["real"]), self._clip_length)
            parts = [candidate.clip_probs(windows[first : first + size]) for first in range(0, len(windows), size)]
            probs = np.concatenate(parts)
            errors["prob"].append(float(np.abs(probs - self._probs).max()))
            top_class_equal = min(top_class_equal, float((probs.argmax(1) == self._probs.argmax(1)).mean()))
            if self._reference.has_step:
                errors["step"].append(_step_error(self._reference, candidate, self._features.expected["real"], size))
        return Parity(
            precision=precision_of(candidate),
            feature_error=largest(errors["real"]),
            random_feature_error=largest(errors["random"]),
            prob_error=largest(errors["prob"]),
            step_error=largest(errors["step"]),
            top_class_equal=top_class_equal,
        )


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


def _windows(embedded: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    rows = np.resize(embedded, (max(len(embedded), length), embedded.shape[1]))  # the clip again, if it is too short
    return np.stack([rows[start : start + length] for start in range(len(rows) - length + 1)])


def _step_error(reference: Runtime, candidate: Runtime, features: NDArray[np.float32], size: int) -> float:
    """Run `size` streams, each from another frame on, and return the largest difference."""
    states = [runtime.initial_state(size) for runtime in (reference, candidate)]
    errors = []
    for t in range(8):
        rows = features[(t + np.arange(size)) % len(features)]
        results = [runtime.step(rows, state) for runtime, state in zip((reference, candidate), states, strict=True)]
        states = [state for _, state in results]
        (expected, _), (found, _) = results
        errors.append(float(np.abs(found - expected).max()))
        for name, part in states[0].items():
            scale = max(1.0, float(np.abs(part).max()))
            errors.append(float(np.abs(states[1][name] - part).max()) / scale)
    return largest(errors)


def largest(values: list[float]) -> float:
    """Return the largest error; infinity where one is no number."""
    return float("inf") if np.isnan(values).any() else max(values)
