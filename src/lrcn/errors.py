"""The errors a user can meet, and the two helpers that phrase the commonest ones.

    LRCNError
    ├── ConfigError           a setting, flag or YAML entry is wrong
    │   └── UnknownNameError  a name is not in its table
    ├── DataError             a data set, annotation file or split is wrong
    ├── MediaError            a video or image cannot be read or written
    ├── MissingExtraError     an optional package is not installed, or broken
    ├── ModelFileError        a model file is damaged, foreign or too new
    │   └── TaskMismatchError the model was made for another task
    └── ShapeError            a tensor has another shape than the configuration says

Every message is one line: what was expected, what came, where, and what to do next.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


class LRCNError(Exception):
    """Anything that the user can put right; the command line prints it as one line."""


class Notice(UserWarning):
    """Something that the user should know and need not put right; the command line prints it as one line."""


class ConfigError(LRCNError):
    """A setting, flag or YAML entry is wrong."""


class UnknownNameError(ConfigError):
    """A name is not in the table it is looked up in."""


class DataError(LRCNError):
    """A data set, annotation file or split is wrong."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems or (message,)
        """Everything found wrong, one line each, where `message` shows the first."""


class MediaError(LRCNError):
    """A video or image cannot be read or written."""


class MissingExtraError(LRCNError):
    """An optional package is not installed, or cannot be imported."""


class ModelFileError(LRCNError):
    """A model file is damaged, foreign or of a newer schema."""


class TaskMismatchError(ModelFileError):
    """A model made for one task was given to a command of another."""


class ShapeError(LRCNError):
    """A tensor has another shape than the configuration says."""


def unknown_name_message(kind: str, name: str, choices: list[str]) -> str:
    """Phrase `unknown backbone 'alexnt'; did you mean 'alexnet'? choices: ...`."""
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {name!r};{hint} choices: {', '.join(choices)}"


def lookup(table: Mapping[str, T], name: str, *, kind: str) -> T:
    """Return `table[name]`.

    Raises:
        UnknownNameError: If the name is missing; the message names the nearest match and all choices.
    """
    if name in table:
        return table[name]
    raise UnknownNameError(unknown_name_message(kind, name, sorted(table)))


def require(module: str, *, extra: str, wanted_by: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: What to import, for example `matplotlib`.
        extra: The extra of this package that installs it, for example `plots`.
        wanted_by: What needs it, as the user wrote it, for example `--save-video`.

    Raises:
        MissingExtraError: If it is not installed, and the message holds the pip command; or if it is and broken.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] == package:
            raise MissingExtraError(f"{wanted_by} needs: pip install 'lrcn[{extra}]'") from exc
        raise MissingExtraError(_broken(package, wanted_by, exc)) from exc
    except Exception as exc:  # a library of another version, or half an installation, raises whatever it trips over
        raise MissingExtraError(_broken(package, wanted_by, exc)) from exc


def _broken(package: str, wanted_by: str, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return f"{wanted_by} needs {package}, which is installed but cannot be imported ({reason}); reinstall it with pip"
