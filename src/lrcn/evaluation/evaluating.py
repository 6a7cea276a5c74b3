"""How good is a model on a data set, whatever its task?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from lrcn.errors import ConfigError
from lrcn.inference.loading import load
from lrcn.tasks import task_named

if TYPE_CHECKING:
    from lrcn.data.captioning.examples import CaptionData
    from lrcn.data.recognition.examples import RecognitionData
    from lrcn.evaluation.captioning.report import CaptionOptions, CaptionReport
    from lrcn.evaluation.recognition.recording_report import RecordingsReport
    from lrcn.evaluation.recognition.report import EvaluationReport, Predictor
    from lrcn.inference.captioning.predictor import Captioner

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@overload
def evaluate(
    model: Captioner,
    data: str | Path | CaptionData,
    *,
    split: str = ...,
    on_progress: Progress | None = ...,
    **options: Unpack[CaptionOptions],
) -> CaptionReport: ...


@overload
def evaluate(
    model: Predictor, data: str | Path | RecognitionData, *, split: str = ..., on_progress: Progress | None = ...
) -> EvaluationReport | RecordingsReport: ...


@overload
def evaluate(
    model: str | Path,
    data: str | Path | RecognitionData | CaptionData,
    *,
    split: str = ...,
    device: str = ...,
    runtime: str | None = ...,
    batch_size: int = ...,
    on_progress: Progress | None = ...,
    **options: Unpack[CaptionOptions],
) -> EvaluationReport | RecordingsReport | CaptionReport: ...


def evaluate(
    model: str | Path | Predictor | Captioner,
    data: str | Path | RecognitionData | CaptionData,
    *,
    split: str = "test",
    device: str = "auto",
    runtime: str | None = None,
    batch_size: int = 64,
    on_progress: Progress | None = None,
    **options: Any,
) -> EvaluationReport | RecordingsReport | CaptionReport:
    """Return the scores of a model on a data set.

    An `EvaluationReport` of clips, a `RecordingsReport` of annotated recordings, or a `CaptionReport` of a captioning
    model.

    Every example goes through the code that users call, so the numbers are those that they will see.

    Examples:
        >>> from importlib.resources import files
        >>> from lrcn import RecognitionData, RecognitionExample, Recognizer
        >>> recognizer = Recognizer.load("demo", device="cpu")
        >>> example = RecognitionExample(files("lrcn") / "assets" / "walking.mp4", "walk", "test")
        >>> report = evaluate(recognizer, RecognitionData(recognizer.labels, (example,), "one clip"))
        >>> report.num_videos, report.top1
        (1, 1.0)

    Args:
        model: A recognizer or a captioner, or what `lrcn.load` takes.
        data: A data set, or the path of one in any layout that training reads.
        split: Which part of it: `test`, `val` or `train`.
        device: Of a model that is to be loaded, as for `lrcn.load`.
        runtime: Of a model that is to be loaded, as for `lrcn.load`.
        batch_size: Of a model that is to be loaded, as for `lrcn.load`.
        on_progress: Called with what is being done, how much of it is done, and how much there is.
        options: What else is measured of captioning models, and how: the keywords of `CaptionOptions`.

    Raises:
        DataError: If the split is empty, has classes that the model does not know, or none of it can be read.
        ModelFileError: If the model file cannot be used.
        ConfigError: If an option is for models of another task, or the model reads vectors and none are given.
    """
    if isinstance(model, str | Path):
        model = load(model, device=device, runtime=runtime, batch_size=batch_size)
    elif (device, runtime, batch_size) != ("auto", None, 64):
        raise ConfigError("device, runtime and batch_size are for models that are to be loaded; this one has its own")
    task = task_named(model.task)
    measure = task.evaluation()
    if foreign := [name for name in options if name not in inspect.signature(measure).parameters]:
        raise ConfigError(f"{foreign[0]} is not for {task.name} models: leave it out")
    report: EvaluationReport | RecordingsReport | CaptionReport = measure(
        model, data, split=split, on_progress=on_progress, **options
    )
    return report
