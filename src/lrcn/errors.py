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
import re
from collections.abc import Mapping
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")

LONGEST_MESSAGE = 300
"""Letters of a message: a file can hold a value, and a system a path, of any length."""

_END_KEPT = 100
"""Letters at the end of a message that is shortened: what to do stands there."""

_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Controls, with which a name from a file could rewrite the terminal, and halves of letters, which no output takes."""


def brief(text: str) -> str:
    """Return a message as one line of at most `LONGEST_MESSAGE` letters that can be printed anywhere.

    What is cut out of a long one is cut out before its end, where it says what to do.
    """
    line = " ".join(part.strip() for part in text.splitlines())
    line = _NOT_SHOWN.sub(lambda match: match[0].encode("unicode_escape").decode(), line)
    if len(line) <= LONGEST_MESSAGE:
        return line
    cut = " [...] "
    return line[: LONGEST_MESSAGE - _END_KEPT - len(cut)] + cut + line[-_END_KEPT:]


class LRCNError(Exception):
    """Anything that the user can put right; the command line prints it as one line."""

    def __init__(self, message: str) -> None:
        super().__init__(brief(message))


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
        self.problems = tuple(map(brief, problems)) or (str(self),)
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
