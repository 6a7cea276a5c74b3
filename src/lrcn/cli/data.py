"""`lrcn data`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lrcn.cli import exits
from lrcn.cli.options import DATA_SET, Data, DataSet, Json, Quiet, Seed
from lrcn.cli.terminal import ProgressBar, print_json, results_console, simple_table
from lrcn.errors import DataError

if TYPE_CHECKING:
    from lrcn.data.captioning.doctor import CaptionDoctorReport
    from lrcn.data.file_checks import Finding
    from lrcn.data.recognition.doctor import DoctorReport

app = App(name="data")
app.command("lrcn.cli.flow:flow", name="flow", help="Compute the optical flow of a data set once.")
app.command("lrcn.cli.extract:extract", name="extract", help="Write a CNN's features of videos as NumPy files.")
app.command("lrcn.cli.data_import:import_", name="import", help="Read the annotations of other programs, write them.")
app.command("lrcn.cli.data_numbers:budget", name="budget", help="Say how often and how long who did what.")
app.command("lrcn.cli.data_numbers:agree", name="agree", help="Say how far two annotators agree, or a model and one.")


@app.command
def check(
    data: Data,
    /,
    *,
    decode: Annotated[bool, Parameter(negative="--no-decode")] = True,
    seed: Seed = 0,
    json_output: Json = False,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
) -> int:
    """Look for what would spoil training or scores, before hours go into training.

    Finds videos and pictures that cannot be decoded or are cut short, the same content in two splits or under two
    labels, classes missing in a split, classes with few clips, parts outside their video; of captions also the long
    ones and words too rare to be learnt. Exit code 1 if there is an error.

    Args:
        decode: Decode every video to its end.
        seed: Seed of the training run, which decides the validation clips where the data set has none.
    """
    from lrcn.data.captioning.doctor import CaptionDoctorReport, check_caption_data
    from lrcn.data.recognition.doctor import check_recognition_data

    report: DoctorReport | CaptionDoctorReport
    try:
        with ProgressBar(1, quiet=quiet) as bar:

            def show(done: int, total: int) -> None:
                bar.update(done, f"file {done} of {total}", total)

            if data_set.holds_captions(data):
                captions = data_set.read_captions(data, seed=seed)
                report = check_caption_data(captions, decode=decode, on_progress=show)
            else:
                report = check_recognition_data(data_set.read(data, seed=seed), decode=decode, on_progress=show)
    except DataError as exc:
        for problem in exc.problems:
            exits.fail(problem, exits.ERROR)
        return exits.ERROR
    if json_output:
        print_json(report.to_dict())
    elif isinstance(report, CaptionDoctorReport):
        _print_caption_counts(report)
        _print_findings(report.problems)
    else:
        _print_class_counts(report)
        _print_findings(report.problems)
    return exits.OK if report.ok else exits.ERROR


def _print_class_counts(report: DoctorReport) -> None:
    console = results_console()
    splits = list(report.counts)
    labels = list(next(iter(report.counts.values()), {}))
    rows = [(label, *(str(report.counts[split][label]) for split in splits)) for label in labels]
    totals = ("all classes", *(str(sum(report.counts[split].values())) for split in splits))
    console.print(f"{report.name}: {report.num_files} videos", style="bold", markup=False)
    console.print(simple_table(("class", *splits), [*rows, totals]))


def _print_caption_counts(report: CaptionDoctorReport) -> None:
    console = results_console()
    rows = [
        (split, str(row.files), str(row.captions), f"{row.words / row.captions:.1f}", f"{row.unknown_share:.1%}")
        for split, row in report.counts.items()
    ]
    text = f"{report.name}: {report.num_files} files, {report.vocabulary_size} words that training sees often enough"
    console.print(text, style="bold", markup=False)
    console.print(simple_table(("split", "files", "captions", "words a caption", "rare words"), rows))


def _print_findings(problems: Sequence[Finding]) -> None:
    console = results_console()
    for finding in problems:
        console.print(f"{finding.severity}: {finding.text}", markup=False, soft_wrap=True)
    if not problems:
        console.print("nothing found that would spoil training or scores")
