"""`lrcn data`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lrcn.cli import exits
from lrcn.cli.options import DATA_SET, Data, DataSet, Json, Quiet
from lrcn.cli.terminal import ProgressBar, results_console, simple_table
from lrcn.errors import DataError

if TYPE_CHECKING:
    from lrcn.data.doctor import DoctorReport

app = App(name="data")
app.command("lrcn.cli.build:app", name="build", help="Build a data set from what ships with lrcn or with Debian.")
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
