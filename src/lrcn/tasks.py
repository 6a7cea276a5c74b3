"""The tasks, one row each: all that the rest of the package must know to serve a task by its name.

A row names its parts by address and imports one when it is first asked for: so this file stands below the rooms whose
parts it names, and costs the command line nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lrcn.config import RESERVED_TOKENS, CaptioningHeader, ModelHeader, RecognitionHeader
from lrcn.errors import lookup

if TYPE_CHECKING:
    from torch import nn

    from lrcn.models.captioning import CaptioningModel
    from lrcn.models.recognition import RecognitionModel

T = TypeVar("T")
H = TypeVar("H", bound=ModelHeader)
M = TypeVar("M", bound="nn.Module")


class Lazy(Generic[T]):
    """Something of this package that is imported when it is called for: `Lazy("lrcn.text:Vocabulary")()`."""

    def __init__(self, address: str) -> None:
        """Take `module:name`."""
        self._address = address

    def __call__(self) -> T:
        """Return what stands at the address."""
        module, _, name = self._address.partition(":")
        found: T = getattr(importlib.import_module(module), name)
        return found

    def __repr__(self) -> str:
        return f"Lazy({self._address!r})"


@dataclass(frozen=True, kw_only=True)
class Task(Generic[H, M]):
    """One row."""

    name: str
    header: type[H]
    """What a model file of this task says about itself."""
    model: Lazy[type[M]]
    """The network, made of the header's `model`."""
    graphs: Lazy[Callable[[H, M], list[Any]]]
    """Header and network on the CPU -> the `GraphSource`s of an export."""
    recipe: Lazy[type[Any]]
    """The `Recipe` that trains it; a training configuration names its task."""
    predictor: Lazy[type[Any]]
    """What uses a model; it has the class method `load`."""
    evaluation: Lazy[Callable[..., Any]]
    """(predictor, data, split=..., on_progress=..., and options of this task) -> a report."""
    export: Lazy[type[Any]]
    """A model on its way into a folder of graphs."""

    command: str
    """That uses a model on a file."""
    evaluate_command: Lazy[Callable[..., int]]
    """(model, data, flags): what `lrcn evaluate` does."""
    file: str
    """Example of a file that it is used on."""
    takes_pictures: bool
    """Whether a folder of pictures is so many inputs; else it is one video."""
    takes_views: bool
    """Whether the answers for several crops of each frame can be averaged."""
    answer: str
    """Attribute of a result that is the answer in a word or a sentence."""
    pipeline: str
    """What the Hugging Face Hub calls the task."""
    outputs: str
    """Field of the header with the names of what comes out."""
    first_output: int
    """Number of the first of them."""


RECOGNITION: Task[RecognitionHeader, RecognitionModel] = Task(
    name="recognition",
    header=RecognitionHeader,
    model=Lazy("lrcn.models.recognition:RecognitionModel"),
    graphs=Lazy("lrcn.graphs.recognition:recognition_graphs"),
    recipe=Lazy("lrcn.training.recognition.recipe:RecognitionRecipe"),
    predictor=Lazy("lrcn.inference.recognition.predictor:Recognizer"),
    evaluation=Lazy("lrcn.evaluation.recognition.recordings:evaluate_clips_or_recordings"),
    export=Lazy("lrcn.export.recognition:RecognitionExport"),
    command="lrcn recognize",
    evaluate_command=Lazy("lrcn.cli.evaluate_recognition:evaluate_recognition"),
    file="video.mp4",
    takes_pictures=False,
    takes_views=True,
    answer="label",
    pipeline="video-classification",
    outputs="labels",
    first_output=0,
)

CAPTIONING: Task[CaptioningHeader, CaptioningModel] = Task(
    name="captioning",
    header=CaptioningHeader,
    model=Lazy("lrcn.models.captioning:CaptioningModel"),
    graphs=Lazy("lrcn.graphs.captioning:captioning_graphs"),
    recipe=Lazy("lrcn.training.captioning.recipe:CaptioningRecipe"),
    predictor=Lazy("lrcn.inference.captioning.predictor:Captioner"),
    evaluation=Lazy("lrcn.evaluation.captioning.report:evaluate_captions"),
    export=Lazy("lrcn.export.captioning:CaptioningExport"),
    command="lrcn caption",
    evaluate_command=Lazy("lrcn.cli.evaluate_captions:evaluate_captions"),
    file="picture.jpg",
    takes_pictures=True,
    takes_views=False,
    answer="text",
    pipeline="image-to-text",
    outputs="vocabulary",
    first_output=len(RESERVED_TOKENS),
)

TASKS: dict[str, Task[Any, Any]] = {task.name: task for task in (RECOGNITION, CAPTIONING)}
"""Name, as model files and training configurations state it -> row."""


def task_named(name: str) -> Task[Any, Any]:
    """Return a row; `UnknownNameError` if there is none of this name."""
    return lookup(TASKS, name, kind="task")
