"""`lrcn data flow`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import DATA_SET, Data, DataSet, Quiet
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import ProgressBar, remark, warn

FlowMethod = Literal["dis", "farneback", "raft"]


def flow(
    data: Data,
    /,
    *,
    output: Path,
    method: FlowMethod = "dis",
    sample_fps: Annotated[str, Parameter(help="Frames per second taken first, or `all` (the paper).")] = "10",
    resize: str = "128",
    workers: PositiveInt | None = None,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
) -> int:
    """Compute the optical flow of a data set once, for `--flow-dir` of train and evaluate.

    The flow of `DATA/a/b.avi` becomes `DIR/a/b.avi.flow.mkv`: x and y scaled by 16 around grey level 128, magnitude in
    the third channel, as in the LRCN release, stored with a mean error of about 0.02 px. An interrupted run goes on
    where it stopped. Videos that cannot be read are listed at the end, and the exit code is then 3.

    Args:
        output: Folder for the flow files; made if missing.
        method: Optical-flow method. The paper's (Brox 2004) is not available to anyone; `raft` fetches weights.
        resize: Short side in px, or `HEIGHT,WIDTH`, of the frames between which flow is computed. It must be what the
            model is trained with.
        workers: Videos at once. Left out, one for each processor.
    """
    check_outputs(folders=[("--output", output)])
    from lrcn.data.recognition.flow import build_flow
    from lrcn.video.flow_file import FlowTag

    known = data_set.read(data)
    warn(known.warnings, quiet=quiet)
    tag = FlowTag(method, _sample_fps(sample_fps), _resize(resize))
    with ProgressBar(1, quiet=quiet) as bar:
        report = build_flow(
            known,
            data,
            output,
            tag=tag,
            workers=workers,
            on_progress=lambda done, total: bar.update(done, f"flow of video {done} of {total}", total),
        )
    stale = f" ({report.stale} were there with other settings, or damaged)" if report.stale else ""
    remark(f"flow files written: {report.written}{stale}, there before: {report.kept}; folder: {output}", quiet=quiet)
    return exit_code_after(report.written + report.kept, list(report.failures), "videos")


def _sample_fps(text: str) -> float | None:
    if text == "all":
        return None
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if fps <= 0:
        raise UsageError(f"--sample-fps must be a number above 0 or `all`, got {text!r}")
    return fps


def _resize(text: str) -> int | tuple[int, int]:
    parts = text.split(",")
    if len(parts) > 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--resize must be a number of px or HEIGHT,WIDTH, got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))
