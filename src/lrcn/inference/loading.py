"""A model file in, what uses it out, whatever task it was made for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcn import model_file
from lrcn.errors import ConfigError
from lrcn.graphs.exported import exported_task, is_exported
from lrcn.model_file.shipped import DEMO
from lrcn.tasks import TASKS
from lrcn.video.views import CENTER_VIEW, View

if TYPE_CHECKING:
    from lrcn.inference.captioning.predictor import Captioner
    from lrcn.inference.recognition.predictor import Recognizer


def load(
    model: str | Path = DEMO,
    *,
    device: str = "auto",
    runtime: str | None = None,
    batch_size: int = 64,
    views: Sequence[View] = (CENTER_VIEW,),
    cache_dir: Path | None = None,
) -> Recognizer | Captioner:
    """Return what the model was made for: a recognizer or a captioner, ready to be called.

    `Recognizer.load` and `Captioner.load` do the same for models of a known task, and type checkers then know it.

    Examples:
        >>> from importlib.resources import files
        >>> recognizer = load("demo", device="cpu")
        >>> recognizer(str(files("lrcn") / "assets" / "walking.mp4")).label
        'walk'

    Args:
        model: A model file, a folder that `lrcn train` or `lrcn export` wrote, or `demo`, `photos` or `emoji`: the
            models that ship in this package.
        device: `auto` (the GPU if there is one), or a torch device such as `cpu` or `cuda:1`.
        runtime: `torch`, `torch-bf16`, `onnxruntime`, `openvino`, `openvino-bf16`, or `auto`: the fastest of them that
            is installed and says what torch says. None is `torch` for a model file, and for an exported folder the
            runtime that it was made for. Graphs that a runtime needs are made once and kept.
        batch_size: Frames that go through the CNN at once; lower it if memory runs out.
        views: Crops of each frame whose probabilities are averaged; of recognition models only.
        cache_dir: Graphs made of model files are kept in its folder `runtimes`; None for `lrcn` in the user's cache
            folder.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign or of a newer schema.
        ConfigError: If there is no such device, or the runtime cannot run this model, or a captioning model is
            given views.
        MissingExtraError: If the runtime is not installed.
    """
    task = TASKS[task_of(model)]
    options: dict[str, Any] = {"device": device, "runtime": runtime, "batch_size": batch_size, "cache_dir": cache_dir}
    if tuple(views) != (CENTER_VIEW,):
        if not task.takes_views:
            raise ConfigError(f"{model}: a {task.name} model looks at the centre crop alone: leave views out")
        options["views"] = views
    predictor: Recognizer | Captioner = task.predictor().load(model, **options)
    return predictor


def task_of(model: str | Path) -> str:
    """Return the name of the task that a model file, or a folder that `lrcn export` wrote, was made for.

    Raises:
        ModelFileError: If it is missing or foreign; damage is found when it is loaded.
    """
    return exported_task(model) if is_exported(model) else model_file.stated_task(model)
