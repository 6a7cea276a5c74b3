"""A model file in, what uses it out, whatever task it was made for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn import model_file
from lrcn.errors import ConfigError
from lrcn.inference.recognizer import Recognizer, choose_device
from lrcn.inference.recognizer import load as load_recognizer
from lrcn.inference.runtimes.exported import is_exported
from lrcn.model_file.storage import DEMO, MODEL_NAME
from lrcn.video.views import CENTER_VIEW, View

if TYPE_CHECKING:
    from lrcn.inference.captioner import Captioner


def load(
    model: str | Path = DEMO,
    *,
    device: str = "auto",
    runtime: str | None = None,
    batch_size: int = 64,
    views: Sequence[View] = (CENTER_VIEW,),
    cache_dir: Path | None = None,
) -> Recognizer | Captioner:
    """Return a recognizer or a captioner, ready to be called.

    Args:
        model: A model file, a folder that `lrcn train` or `lrcn export` wrote, or `demo`: the model that ships in this
            package.
        device: `auto` (the GPU if there is one), or a torch device such as `cpu` or `cuda:1`.
        runtime: Of recognition models only; see `lrcn.inference.recognizer.load`.
        batch_size: Frames that go through the CNN at once; lower it if memory runs out.
        views: Crops of each frame whose probabilities are averaged; of recognition models only.
        cache_dir: Where graphs made of model files are kept; None for the user's cache folder.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign or of a newer schema.
        ConfigError: If there is no such device, or a captioning model is given what recognition models take.
        MissingExtraError: If the runtime is not installed.
    """
    if task_of(model) == "recognition":
        return load_recognizer(
            model, device=device, runtime=runtime, batch_size=batch_size, views=views, cache_dir=cache_dir
        )
    if tuple(views) != (CENTER_VIEW,) or runtime not in (None, "torch"):
        raise ConfigError(
            "a captioning model looks at the centre crop, in torch: views and runtime are for recognition"
        )
    return load_captioner(model, device=device, batch_size=batch_size)


def task_of(model: str | Path) -> str:
    """Return what a model file, or a folder that `lrcn export` wrote, was made for: `recognition` or `captioning`.

    Raises:
        ModelFileError: If it is missing, damaged, foreign or of a newer schema.
    """
    return "recognition" if is_exported(model) else model_file.inspect(model).task  # nothing else is exported yet


def load_captioner(model: str | Path, *, device: str = "auto", batch_size: int = 64) -> Captioner:
    """Return a captioner; arguments and errors as for `load`.

    Raises:
        TaskMismatchError: If the model was made for another task.
    """
    from lrcn.inference.captioner import Captioner

    path = model_file.resolve(model)
    target = choose_device(device)
    header, network = model_file.load(path, task="captioning", device=target)
    name = path.parent.resolve().name if path.name == MODEL_NAME else path.stem
    return Captioner(header, network, name=name, device=target, batch_size=batch_size)
