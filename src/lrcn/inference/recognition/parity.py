"""Does another runtime say about videos what torch says? Windows of the packaged clip, and steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.inference.parity import BATCH_SIZES, LIMITS, FeatureCheck, FeatureParity, largest, precision_of
from lrcn.inference.recognition.runtime import Runtime


@dataclass(frozen=True)
class Parity(FeatureParity):
    """Largest errors of features and of what is made of them."""

    prob_error: float
    step_error: float
    """As `prob_error`, of the probabilities and the state after each of some steps, all from the same features; 0 where
    the head cannot go on frame by frame."""
    top_class_equal: float
    """Share of the windows of the real clip whose top class is the same, 0-1."""

    @property
    def passed(self) -> bool:
        """Whether all is within the limits."""
        probs_ok = self.prob_error <= LIMITS[self.precision].prob and self.step_error <= LIMITS["fp32"].prob
        return super().passed and probs_ok

    def __str__(self) -> str:
        limits = LIMITS[self.precision]
        return (
            f"largest error against torch: probabilities {self.prob_error:.1e} (limit {limits.prob:g}), "
            f"features {self.feature_error:.1e} (limit {limits.feature:g}; on random frames "
            f"{self.random_feature_error:.1e}), steps {self.step_error:.1e}; "
            f"top class equal in {self.top_class_equal:.1%} of windows"
        )


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
