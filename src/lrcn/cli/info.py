"""`lrcn info`."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import Parameter

from lrcn.cli.options import Json
from lrcn.tasks import TASKS


def info(
    model: Annotated[
        str, Parameter(help="A `.safetensors` file, a folder that `lrcn train` or `lrcn export` wrote, or `demo`.")
    ],
    /,
    *,
    json_output: Json = False,
) -> None:
    """Print everything a model file says about itself, after checking that the file is undamaged.

    That is the network, what its pixels must look like, the labels or words, where the weights come from, and the
    sha256.
    """
    from lrcn.graphs.exported import is_exported, read_exported
    from lrcn.model_file.header import header_to_dict
    from lrcn.model_file.storage import inspect, resolve

    if is_exported(model):
        exported = read_exported(model)
        graphs = {name: getattr(exported, name) for name in ("format", "precision", "versions", "parity", "files")}
        fields = {"export": graphs, **header_to_dict(exported.header)}
    else:
        fields = header_to_dict(inspect(model))
    if json_output:
        from lrcn.cli.terminal import print_json

        print_json(fields)
        return
    print(f"folder: {model}" if is_exported(model) else f"file: {resolve(model)}")
    task = TASKS[fields["task"]]
    names = fields.pop(task.outputs)
    for line in _lines(fields):
        print(line)
    print(f"{task.outputs}: {len(names)}")
    for number, name in enumerate(names, start=task.first_output):
        print(f"  {number}: {name}")


def _lines(fields: dict[str, Any], indent: str = "") -> list[str]:
    lines = []
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}:", *_lines(value, indent + "  ")]
        else:
            lines.append(
                f"{indent}{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            )
    return lines
