"""`lrcn data extract`."""

from __future__ import annotations

from pathlib import Path

from cyclopts.types import PositiveInt

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import Device, Quiet, RuntimeName
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import ProgressBar, remark


def extract(
    model: str,
    /,
    *sources: str,
    output: Path,
    device: Device = "auto",
    runtime: RuntimeName = None,
    workers: PositiveInt | None = None,
    quiet: Quiet = False,
) -> int:
    """Write a CNN's features of videos and pictures as NumPy files, for other programs to learn from.

    `DATA/a/b.mp4` becomes `DIR/a/b.mp4.npz`, with `features` (frames, values) and `times_s` (frames); `DIR/index.csv`
    lists them. An interrupted run goes on where it stopped. What cannot be read is listed at the end, and the exit code
    is then 3.

    Args:
        model: Whose CNN, and how it sees frames: a model file, a folder of `lrcn train` or `lrcn export`, or `demo`.
        sources: Videos, pictures, folders, or globs such as `'clips/*.mp4'`. A folder that holds only images is one
            video to a recognition model, and so many pictures to a captioning model.
        output: Folder for the files; made if missing.
        workers: Files decoded at once. Left out, one for each processor.
    """
    if not sources:
        raise UsageError("name at least one video, picture or folder; try: lrcn data extract --help")
    check_outputs(folders=[("--output", output)])
    from lrcn.inference.feature_files import extract_features

    with ProgressBar(1, quiet=quiet) as bar:
        report = extract_features(
            model,
            sources,
            output=output,
            device=device,
            runtime=runtime,
            workers=workers,
            on_progress=lambda done, total: bar.update(done, f"features of file {done} of {total}", total),
        )
    remark(f"files written: {report.written}, there before: {report.kept}; table: {report.index}", quiet=quiet)
    return exit_code_after(report.written + report.kept, list(report.failures), "sources")
