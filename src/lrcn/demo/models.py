"""The models that the page offers, loaded when they are first asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.errors import ConfigError, ModelFileError
from lrcn.graphs.exported import is_exported
from lrcn.inference.loading import load, task_of
from lrcn.model_file.shipped import SHIPPED
from lrcn.model_file.storage import MODEL_NAME, name_of_model

if TYPE_CHECKING:
    from lrcn.inference.captioning.predictor import Captioner
    from lrcn.inference.recognition.predictor import Recognizer

MOST_LOADED = 4
"""Models kept in memory: a folder may hold a hundred."""


def find_models(given: Sequence[str], on_left_out: Callable[[str], object]) -> dict[str, str]:
    """Return the models that arguments name: what the page calls each, and what loads it.

    Args:
        given: Names of shipped models, model files, folders with a model, folders of those; empty for all that ship.
        on_left_out: Told what of a folder is no model of ours, in a line.

    Raises:
        ModelFileError: If one of them names nothing, or is no model.
    """
    found: dict[str, str] = {}
    for model in given or SHIPPED:
        for one in [model] if _is_one(model) else _models_in(Path(model), on_left_out):
            task_of(one)
            name = name_of_model(one)
            found[name if found.get(name, one) == one else one] = one
    return found


def _is_one(model: str) -> bool:
    folder = Path(model)
    return model in SHIPPED or not folder.is_dir() or (folder / MODEL_NAME).exists() or is_exported(folder)


def _models_in(folder: Path, on_left_out: Callable[[str], object]) -> Iterator[str]:
    none_there = True
    for entry in sorted(folder.iterdir()):
        is_model = entry.suffix == ".safetensors" if entry.is_file() else entry.is_dir() and _is_one(str(entry))
        if not is_model:
            continue
        try:
            task_of(entry)
        except ModelFileError as exc:
            on_left_out(f"left out: {exc}")
            continue
        none_there = False
        yield str(entry)
    if none_there:
        raise ModelFileError(
            f"{folder}: holds no model; expected .safetensors files, or folders that lrcn train or lrcn export wrote"
        )


class Models:
    """Loads models by their names, and keeps the `MOST_LOADED` that were asked last; of any thread."""

    def __init__(self, found: Mapping[str, str]) -> None:
        """Take what `find_models` returns; nothing is loaded yet."""
        self._found = dict(found)
        self._loaded: OrderedDict[str, Recognizer | Captioner] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """What the page calls them, in the order that they were given in."""
        return tuple(self._found)

    def load(self, name: str) -> Recognizer | Captioner:
        """Return a model, ready to be called.

        Raises:
            ModelFileError: If there is none of this name, or the file is damaged.
            ConfigError: If it cannot be used on pictures.
            MissingExtraError: If what runs it is not installed.
        """
        with self._lock:
            if name not in self._found:
                raise ModelFileError(f"no model of the name {name!r} here; reload the page")
            if name not in self._loaded:
                predictor = load(self._found[name])
                preprocess = predictor.header.preprocess
                if preprocess is None or preprocess.vectors is not None:
                    raise ConfigError(f"{name} reads ready vectors, and videos and pictures are looked at here")
                self._loaded[name] = predictor
            self._loaded.move_to_end(name)
            while len(self._loaded) > MOST_LOADED:
                self._loaded.popitem(last=False)
            return self._loaded[name]
