"""`--config FILE`: YAML below the flags and above the defaults. A run to `--resume` brings its own."""

from __future__ import annotations

import json
import math
import re
import typing
from collections.abc import Iterable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.token import Token

from lrcn.cli.numbers import split_numbers
from lrcn.errors import ConfigError
from lrcn.training.config import TrainingConfig
from lrcn.training.run_folder import CONFIG_FILE, SEARCH_FOLDER

CONFIG_FLAG, OUTPUT_FLAG, RESUME_FLAG = "--config", "--output", "--resume"
_LARGEST_CONFIG = 2**20
_LONGEST_REASON = 100
"""Letters of a value, or of what another library says, that a message shows."""

_FLOAT_WITHOUT_POINT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$")
"""`1e-3`, which YAML 1.1 takes for text."""


class YamlBelowFlags:
    """Lets a command's `--config` file fill in the settings that no flag sets; or the run in `--output`, to `--resume`.

    cyclopts calls it between reading the flags and making the settings from them, so that settings are checked against
    each other only when all are known.
    """

    def __init__(self, settings_class: type[TrainingConfig]) -> None:
        """Take the dataclass whose fields are the keys of the file."""
        self._settings_class = settings_class

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Fill in what is missing."""
        hints = typing.get_type_hints(self._settings_class)
        own = {argument.keys[-1]: argument for argument in arguments if argument.keys and argument.keys[-1] in hints}
        split_numbers(app, commands, arguments)
        path = _path_given(arguments)
        if path is None:
            return
        for name, value in read_settings(path, self._settings_class).items():
            if not own[name].tokens:
                own[name].tokens.append(Token(keyword=name, source=str(path), implicit_value=value))


def read_settings(path: Path, settings_class: type[TrainingConfig]) -> dict[str, Any]:
    """Return the settings in a YAML file, each of the type that its field has.

    Raises:
        ConfigError: If it is no YAML, or a key is unknown, double or of the wrong type; the message names the line.
    """
    from pydantic import TypeAdapter, ValidationError

    hints = typing.get_type_hints(settings_class)
    names = [field.name for field in fields(settings_class)]
    settings: dict[str, Any] = {}
    for name, line, value in _entries(path):
        place = f"{path} line {line}"
        if name not in names:
            near = get_close_matches(name.replace("-", "_"), names, n=1)
            shown = f"lrcn train {settings_class.task} --print-config shows all"
            hint = f"did you mean {near[0]!r}?" if near else shown
            raise ConfigError(f"{place}: unknown setting {name!r}; {hint}")
        if name in settings:
            raise ConfigError(f"{place}: {name!r} stands in the file twice")
        try:
            # JSON, in which strict validation takes a list for a tuple and 1 for 1.0, but not true for 1
            settings[name] = TypeAdapter(hints[name]).validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as exc:
            complaints = dict.fromkeys(error["msg"] for error in exc.errors())
            shown = repr(value)[:_LONGEST_REASON]
            raise ConfigError(f"{place}: {name}: {' or '.join(complaints)}, got {shown}") from exc
        if isinstance(settings[name], float) and not math.isfinite(settings[name]):
            raise ConfigError(f"{place}: {name}: expected a number that is finite, got {settings[name]}")
    return settings


def _entries(path: Path) -> Iterable[tuple[str, int, Any]]:
    """Return key, line from 1, and value of every entry."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):  # nine lines of them can stand for a billion values
                event = self.peek_event()  # type: ignore[no-untyped-call]
                raise yaml.composer.ComposerError(None, None, "names for values are not read", event.start_mark)
            return super().compose_node(parent, index)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT_WITHOUT_POINT, list("-+0123456789"))
    try:
        if path.stat().st_size > _LARGEST_CONFIG:
            raise ConfigError(f"{path}: larger than {_LARGEST_CONFIG} bytes, which settings never are")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{path}: cannot be read ({getattr(exc, 'strerror', None) or 'it is no UTF-8 text'})"
        ) from exc
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None or node.tag.endswith(":null"):
            return []
        if not isinstance(node, yaml.MappingNode) or not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
            raise ConfigError(f"{path} line {node.start_mark.line + 1}: expected settings, one `name: value` a line")
        return [
            (str(key.value), key.start_mark.line + 1, loader.construct_object(value, deep=True))
            for key, value in node.value
        ]
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise ConfigError(f"{path} line {line}: no YAML ({exc.problem})") from exc
    except ConfigError:
        raise
    except Exception as exc:  # constructors of odd scalars raise whatever they trip over
        raise ConfigError(f"{path}: no YAML ({' '.join(str(exc).split())[:_LONGEST_REASON]})") from exc


def _path_given(arguments: ArgumentCollection) -> Path | None:
    given = {name: argument.tokens[-1] for argument in arguments for name in argument.names if argument.tokens}
    if CONFIG_FLAG in given:
        return Path(given[CONFIG_FLAG].value)
    if RESUME_FLAG in given and OUTPUT_FLAG in given:
        output = Path(given[OUTPUT_FLAG].value)
        started = [output / SEARCH_FOLDER / CONFIG_FILE, output / CONFIG_FILE]  # what a search was given, or a run
        return next((path for path in started if path.is_file()), None)
    return None
