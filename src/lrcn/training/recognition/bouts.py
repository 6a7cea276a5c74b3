"""How bouts are found with a model: fitted on the validation recordings once it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from lrcn.bouts import Recording
from lrcn.config import ModelHeader, RecognitionHeader
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.datasets import window_batches
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.errors import MediaError
from lrcn.features import Part
from lrcn.inference.recognition.bout_fitting import KnownRecording, fit_bout_settings
from lrcn.inference.recognition.bouts import bout_stride, frame_probs
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.metrics.calibration import calibrated
from lrcn.metrics.recording_pairs import end_of, known_time
from lrcn.models.recognition import RecognitionModel
from lrcn.training.features import ExampleFeatures
from lrcn.training.validation import Sums, Validation
from lrcn.video.sampling import clip_windows

_CLOCK_S = 1e-3
"""A frame is shown up to so much before its time."""


@dataclass(frozen=True)
class RecordingFeatures:
    """The part of a validation recording that was looked at."""

    truth: Recording
    video: FeatureVideo
    """Its frames from the first that was looked at to the last."""
    times_s: NDArray[np.float64]
    """When each is shown, `(T,)`, from the start of the file."""


class BoutValidation(Validation):
    """Scores as another validation does, and also completes headers with how bouts are found."""

    def __init__(self, scores: Validation, recordings: Sequence[RecordingFeatures]) -> None:
        """Take what scores, and the validation recordings."""
        self._scores = scores
        self._recordings = recordings
        self.columns = scores.columns

    def __call__(self, model: RecognitionModel, device: torch.device) -> Sums:
        """As the other validation."""
        return self._scores(model, device)

    def derived(self, means: Mapping[str, float]) -> dict[str, float]:
        """As the other validation."""
        return self._scores.derived(means)

    def completed(self, header: ModelHeader, model: RecognitionModel, device: torch.device) -> ModelHeader:
        """As the other validation, then with the settings of bouts; see `Validation`."""
        header = self._scores.completed(header, model, device)
        assert isinstance(header, RecognitionHeader)
        known = []
        for recording in self._recordings:
            windows = recording_windows(recording, header, model, device)
            borders_s = np.append(windows.times_s, windows.duration_s)
            known.append(KnownRecording(recording.truth, frame_probs(windows), borders_s))
        clip_s = header.preprocess.clip_length * float(np.median(np.diff(known[0].borders_s)))
        settings = fit_bout_settings(known, header.labels, clip_s=clip_s, exclusive=not header.model.multi_label)
        return replace(header, bouts=settings)


def recording_windows(
    recording: RecordingFeatures, header: RecognitionHeader, model: RecognitionModel, device: torch.device
) -> WindowProbs:
    """Return what a model says of a recording, as a recognizer with this header would."""
    length, stride = header.preprocess.clip_length, bout_stride(header.preprocess)
    said = [
        model.clip_probs(batch.features.to(device), batch.lengths).cpu().double().numpy()
        for batch in window_batches([recording.video], length, stride)
    ]
    times_s = recording.times_s
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    ranges = tuple(clip_windows(recording.video.num_frames, length, stride))
    probs = calibrated(np.concatenate(said), header.calibration)
    return WindowProbs(ranges, probs, times_s, float(times_s[-1]) + step_s)


def recording_features(
    data: RecognitionData, encoded: ExampleFeatures, part_of: Callable[[RecognitionExample], Part]
) -> list[RecordingFeatures]:
    """Return the validation recordings in which something is known, those that can be read.

    Args:
        data: Its recordings count; of clips there are none.
        encoded: Holds the features of their files.
        part_of: Which of them, by an example that is cut from the file.
    """
    found = []
    cut_from = {(one.path, one.roi): one for one in data.examples if one.split == "val" and one.within}
    for recording in data.recordings:
        place = recording.path, recording.roi
        spans = known_time(recording, end_of(recording))
        if recording.split != "val" or place not in cut_from or not spans:
            continue
        times: list[NDArray[np.float64]] = []

        def frames_of(
            times_s: NDArray[np.float64],
            times: list[NDArray[np.float64]] = times,
            first_s: float = spans[0][0],
            last_s: float = spans[-1][1],
        ) -> tuple[int, int]:
            first, last = np.searchsorted(times_s, [first_s - _CLOCK_S, last_s - _CLOCK_S]).tolist()
            times.append(times_s[first:last])
            return first, last

        try:
            video = encoded.get_slice(part_of(cut_from[place]), frames_of)
        except MediaError:
            continue  # its examples were left out, with a warning
        if video.num_frames > 0:
            found.append(RecordingFeatures(recording, video, times[0]))
    return found
