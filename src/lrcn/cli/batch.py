"""`lrcn batch`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, PositiveInt

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import Isolate, Quiet, RuntimeName
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import ProgressBar, remark

LONGEST_LIST = 20
"""Failures that are printed; all are in the table."""


def batch(
    model: str,
    /,
    *inputs: str,
    output: Path,
    bouts: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    features: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    workers: PositiveInt | None = None,
    gpus_per_worker: NonNegativeFloat = 0.0,
    address: str | None = None,
    runtime: RuntimeName = None,
    retry_failed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    isolate: Isolate = False,
    quiet: Quiet = False,
) -> int:
    """Look at very many videos or pictures with many processes, into Parquet tables.

    The same command goes on where it was stopped: what is done, or has failed, is not looked at again unless it has
    changed. What cannot be read is one row with its reason, and the exit code is then 3.

    Args:
        model: A model file, a folder of `lrcn train` or `lrcn export`, or `demo`, `photos` or `emoji`. Of its task are
            the rows: labels or captions.
        inputs: Files, folders, globs; `.txt` files that name such things, one a line; addresses of objects and folders
            such as `s3://bucket/folder` or `gs://bucket/folder`.
        output: Folder of the tables `sources`, `segments` and what else is wanted; made if missing.
        bouts: Also find bouts, as `lrcn recognize --bouts` does, into the table `bouts`.
        features: Also keep what the CNN sees of each frame, in the table `features`.
        workers: Processes. Left out, one for each processor, or for each GPU that they need.
        gpus_per_worker: GPUs that each process needs, 0.5 for half of one; 0 runs on the CPU.
        address: Of a Ray cluster that runs, such as `10.0.0.1:6379`, or `auto`. Left out, all run on this machine.
        retry_failed: Look again at what could not be read.
    """
    if not inputs:
        raise UsageError("name at least one file, folder, list or address; try: lrcn batch --help")
    check_outputs(folders=[("--output", output)])
    from lrcn.errors import require

    for package in ("pyarrow", "filelock"):
        require(package, extra="batch", wanted_by="lrcn batch")
    from lrcn.batch.jobs import run_batch
    from lrcn.batch.places import find_places
    from lrcn.batch.ray_pool import RayPool
    from lrcn.batch.reading import Work
    from lrcn.batch.results import ResultFolder
    from lrcn.inference.loading import task_of
    from lrcn.tasks import TASKS

    whole = os.path.abspath(model) if os.path.exists(model) else model
    device = "auto" if gpus_per_worker else "cpu"  # on which it is tried here
    work = Work(model=whole, runtime=runtime, bouts=bouts, features=features, device=device)
    takes_pictures = TASKS[task_of(whole)].takes_pictures
    with RayPool(work, workers=workers, gpus_per_worker=gpus_per_worker, address=address) as pool:
        places, unfound = find_places(inputs, pictures=takes_pictures)
        if not places:
            return exit_code_after(0, unfound, "inputs")
        with (
            ResultFolder.opened(output, work.manifest()) as results,
            ProgressBar(len(places), quiet=quiet) as bar,
        ):
            bar.update(0, "starting the workers")
            report = run_batch(
                places,
                results,
                pool,
                retry_failed=retry_failed,
                isolate=isolate,
                on_progress=lambda done, total: bar.update(done, f"source {done} of {total}", total),
            )
    remark(f"sources with results: {report.done}, kept from before: {report.kept}; tables: {output}", quiet=quiet)
    failures = [*unfound, *report.failures]
    shown = failures[:LONGEST_LIST]
    if more := len(failures) - len(shown):
        shown.append(f"... and {more} more: the rows of {output / 'sources'} whose status is failed")
    return exit_code_after(report.done, shown, "sources")
