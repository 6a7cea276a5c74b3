"""`lrcn data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lrcn.cli import exits
from lrcn.cli.options import DATA_SET, Data, DataSet, Json, Quiet
from lrcn.cli.terminal import ProgressBar, results_console, simple_table
from lrcn.errors import DataError

if TYPE_CHECKING:
    from lrcn.data.doctor import DoctorReport

app = App(name="data")
build = App(name="build", help="Build a data set from what ships with lrcn.")
app.command(build)
app.command("lrcn.cli.flow:flow", name="flow", help="Compute the optical flow of a data set once.")


@app.command
def check(
    data: Data,
    /,
    *,
    decode: Annotated[bool, Parameter(negative="--no-decode")] = True,
    seed: int = 0,
    json_output: Json = False,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
) -> int:
    """Look for what would spoil training or scores, before hours go into training.

    Finds videos that cannot be decoded or are cut short, the same video in two splits or under two labels, classes
    missing in a split, classes with few clips, parts outside their video. Exit code 1 if there is an error.

    Args:
        decode: Decode every video to its end.
        seed: Seed of the training run, which decides the validation clips where the data set has none.
    """
    from lrcn.data.doctor import check_recognition_data

    try:
        known = data_set.read(data, seed=seed)
    except DataError as exc:
        for problem in exc.problems:
            exits.fail(problem, exits.ERROR)
        return exits.ERROR
    with ProgressBar(1, quiet=quiet) as bar:
        report = check_recognition_data(
            known,
            decode=decode,
            on_progress=lambda done, total: bar.update(done, f"video {done} of {total}", total),
        )
    if json_output:
        print(json.dumps(report.to_dict(), ensure_ascii=False))
    else:
        _print_findings(report)
    return exits.OK if report.ok else exits.ERROR


@build.command
def mocap_actions(
    folder: Annotated[Path, Parameter(help="Where to build it; made if missing.")],
    /,
    *,
    train_clips: int = 144,
    val_clips: int = 12,
    test_clips: int = 32,
    size_px: int = 128,
    workers: int | None = None,
    quiet: Quiet = False,
) -> None:
    """Render MocapActions-14: short videos of 14 actions from real motion recordings, split by camera direction.

    Needs no download. Two pairs of classes differ only in the order of their frames. An interrupted build goes on
    where it stopped.

    Args:
        train_clips: Training clips for each class.
        val_clips: Validation clips for each class.
        test_clips: Test clips for each class.
        size_px: Side of the square frames.
        workers: Processes to render in. Left out, one for each processor.
    """
    from lrcn.data.mocap_actions import build_mocap_actions

    with ProgressBar(1, quiet=quiet) as bar:
        annotations = build_mocap_actions(
            folder,
            train_clips=train_clips,
            val_clips=val_clips,
            test_clips=test_clips,
            size_px=size_px,
            workers=workers,
            on_progress=lambda done, total: bar.update(done, f"rendering: {done} of {total} clips", total),
        )
    print(annotations)


def _print_findings(report: DoctorReport) -> None:
    console = results_console()
    splits = list(report.counts)
    labels = list(next(iter(report.counts.values()), {}))
    rows = [(label, *(str(report.counts[split][label]) for split in splits)) for label in labels]
    totals = ("all classes", *(str(sum(report.counts[split].values())) for split in splits))
    console.print(f"{report.name}: {report.num_files} videos", style="bold", markup=False)
    console.print(simple_table(("class", *splits), [*rows, totals]))
    for finding in report.problems:
        console.print(f"{finding.severity}: {finding.text}", markup=False, soft_wrap=True)
    if not report.problems:
        console.print("nothing found that would spoil training or scores")
