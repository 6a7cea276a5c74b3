"""The header of a model file as plain data: to a dictionary, back again, and up from older schemas."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from lrcn.config import SCHEMA, ModelHeader
from lrcn.errors import ConfigError, ModelFileError
from lrcn.tasks import TASKS

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Schema -> function that turns a header of that schema into one of the next (`schema` itself is raised for it)."""


def header_to_dict(header: ModelHeader) -> dict[str, Any]:
    """Return the header as JSON types; `header_from_dict` is the exact inverse.

    Raises:
        ModelFileError: If the provenance holds something that JSON has no form for.
    """
    from pydantic_core import PydanticSerializationError

    header = replace(header, provenance=_as_text(header.provenance))
    try:
        fields: dict[str, Any] = _adapter(header.task).dump_python([header], mode="json")[0]
    except PydanticSerializationError as exc:
        raise ModelFileError(f"the provenance must be JSON (text, numbers, lists, dictionaries): {exc}") from exc
    return fields


def _as_text(value: Any) -> Any:
    """Return the value with all text in UTF-8; what is none in the names of files is escaped."""
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_as_text(key): _as_text(entry) for key, entry in value.items()}
        case list() | tuple():
            return type(value)(map(_as_text, value))
    return value


def header_from_dict(fields: dict[str, Any], *, source: str) -> ModelHeader:
    """Return the header that `fields` describes, of this schema or an older one.

    Args:
        fields: JSON types, as `header_to_dict` gives; not modified.
        source: What messages call it, for example the file's path.

    Raises:
        ModelFileError: If the schema is newer than this package, or a field is unknown, missing or wrong.
    """
    from pydantic import ValidationError

    fields = _migrated(fields, source)
    task = fields.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise ModelFileError(
            f"{source}: a model for the unknown task {task!r}, not {' or '.join(TASKS)}; "
            "was it written by a newer lrcn?"
        )
    try:
        # from JSON text, because strict validation takes a list for a tuple only there
        header: ModelHeader = _adapter(task).validate_json(json.dumps([fields]))[0]
        return header
    except ValidationError as exc:
        raise ModelFileError(f"{source}: {_first_complaint(exc.errors(include_url=False))}") from exc
    except ConfigError as exc:
        raise ModelFileError(f"{source}: {exc}") from exc


def _migrated(fields: dict[str, Any], source: str) -> dict[str, Any]:
    schema = fields.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool):
        raise ModelFileError(f"{source}: the header states no schema; was it written by lrcn?")
    if schema > SCHEMA:
        raise ModelFileError(
            f"{source}: written by a newer lrcn (schema {schema}, this one reads up to {SCHEMA}); "
            "update with: pip install --upgrade lrcn"
        )
    while schema < SCHEMA:
        if schema not in MIGRATIONS:
            raise ModelFileError(f"{source}: schema {schema} is no longer read; use an older lrcn, or train again")
        fields = MIGRATIONS[schema](dict(fields))
        schema += 1
        fields["schema"] = schema
    return fields


@functools.cache
def _adapter(task: str) -> TypeAdapter[list[Any]]:
    # pydantic takes a tenth of a second to import
    from pydantic import ConfigDict, TypeAdapter

    # a list of one: pydantic refuses a configuration for a bare dataclass
    headers: Any = GenericAlias(list, (TASKS[task].header,))
    return TypeAdapter(headers, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))


def _first_complaint(complaints: list[Any]) -> str:
    first = complaints[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "the header"
    more = f" ({len(complaints) - 1} more)" if len(complaints) > 1 else ""
    if first["type"] == "unexpected_keyword_argument":
        return f"unknown field {field!r} in the header{more}; was it written by a newer lrcn?"
    return f"header field {field!r}: {first['msg'].lower()}{more}"
