"""`lrcn export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lrcn.cli.exits import UsageError
from lrcn.cli.options import Json, Quiet
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import remark

if TYPE_CHECKING:
    from lrcn.export.exporting import ExportReport


def export(
    model: Annotated[str, Parameter(help="A `.safetensors` file, a folder that `lrcn train` wrote, or `demo`.")],
    /,
    *,
    output: Annotated[Path | None, Parameter(show_default=False)] = None,
    format: Literal["onnx", "openvino"] = "onnx",
    int8: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    calibrate: Path | None = None,
    split: str = "test",
    json_output: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model as a folder of graphs for ONNX Runtime or OpenVINO.

    Of a recognition model `lrcn recognize VIDEO --model DIR` then runs without torch; of a captioning model the graphs
    run, and torch does the search for words. The graphs are run beside torch on random and real frames; the largest
    errors are printed, and where one is past its limit nothing is written.

    Args:
        output: The folder to write. An earlier export in it is replaced.
        format: Of the graphs: `onnx` for ONNX Runtime and others, `openvino` for the fastest answers on CPUs.
        int8: Quantise the CNN: about a third of the size and, with `openvino` on CPUs that have VNNI, the most frames
            per second. Needs `--calibrate`.
        calibrate: Data set, for `--int8`: its training videos or pictures set the ranges, and the top class and the
            accuracy, or the captions and their CIDEr-D, on `--split` are compared with torch.
        split: Part of the data set on which int8 is compared with torch: test, val or train.
    """
    if output is None:
        raise UsageError("export needs --output DIR")
    if int8 != (calibrate is not None):
        raise UsageError("--int8 and --calibrate DATA go together: the ranges of int8 come from your training videos")
    check_outputs(folders=[("--output", output)])
    from lrcn.devices import lacks_vnni
    from lrcn.export import exporting as graphs

    if int8 and lacks_vnni():
        remark("this CPU has no VNNI: here int8 saves memory, but no time", quiet=quiet)
    report = graphs.export_model(
        model,
        output,
        format=format,
        calibrate=calibrate,
        split=split,
        on_progress=lambda text: remark(f"{text} ...", quiet=quiet),
    )
    if json_output:
        print(json.dumps(report.to_dict()))
    else:
        _print(report)


def _print(report: ExportReport) -> None:
    from lrcn.tasks import TASKS

    print(f"{report.folder}: {report.num_bytes / 1e6:.1f} MB ({', '.join(report.files)})")
    print(report.parity)
    if report.split is not None:
        print(report.split)
    task = TASKS[report.task]
    print(f"use it: {task.command} {task.file} --model {report.folder}")
