"""`lrcn data`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lrcn.cli import exits
from lrcn.cli.options import DATA_SET, Data, DataSet, Isolate, Json, Quiet, Seed
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import ProgressBar, print_json, remark, results_console, simple_table
from lrcn.errors import DataError

if TYPE_CHECKING:
    from lrcn.data.captioning.doctor import CaptionDoctorReport
    from lrcn.data.file_checks import Finding
    from lrcn.data.recognition.doctor import DoctorReport
    from lrcn.data.recognition.recording_doctor import RecordingDoctorReport

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
    fix: Annotated[Path | None, Parameter(name="--fix")] = None,
    seed: Seed = 0,
    isolate: Isolate = False,
    json_output: Json = False,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
) -> int:
    """Look for what would spoil training or scores, before hours go into training.

    Finds videos and pictures that cannot be decoded or are cut short, the same content or the same pictures in two
    splits or under two labels, classes missing in a split, classes with few clips, parts outside their video; of
    captions also the long ones and words too rare to be learnt; of annotated recordings also labels in several
    spellings, bouts past the end, twice, too short or at once where hardly any are, and recordings that are not there
    or not annotated. Exit code 1 if there is an error.

    Args:
        decode: Decode every video to its end.
        fix: Of annotated recordings: CSV file to write, with one spelling a label, bouts that end with their video,
            copies once and nothing without a video. Each change is told; videos and annotations stay as they are.
        seed: Seed of the training run, which decides the validation clips where the data set has none.
    """
    from lrcn.data.captioning.doctor import CaptionDoctorReport, check_caption_data
    from lrcn.data.recognition.doctor import check_recognition_data
    from lrcn.data.recognition.recording_doctor import RecordingDoctorReport, check_recordings
    from lrcn.video.isolation import isolated_decoding

    options = data_set.of_recordings(data, seed=seed)
    _check_fix(fix, data, of_recordings=options is not None)
    report: DoctorReport | CaptionDoctorReport | RecordingDoctorReport
    try:
        with isolated_decoding() if isolate else nullcontext(), ProgressBar(1, quiet=quiet) as bar:

            def show(done: int, total: int) -> None:
                bar.update(done, f"file {done} of {total}", total)

            if options is not None:
                report = check_recordings(data, options, decode=decode, on_progress=show)
            elif data_set.holds_captions(data):
                captions = data_set.read_captions(data, seed=seed)
                report = check_caption_data(captions, decode=decode, on_progress=show)
            else:
                report = check_recognition_data(data_set.read(data, seed=seed), decode=decode, on_progress=show)
    except DataError as exc:
        if len(exc.problems) == 1:
            raise
        for problem in exc.problems:
            exits.fail(problem, exits.ERROR)
        print("lrcn: mend these rows, or leave them out with --skip-missing", file=sys.stderr)
        return exits.ERROR
    if json_output:
        print_json(report.to_dict())
    else:
        if isinstance(report, CaptionDoctorReport):
            _print_caption_counts(report)
        elif isinstance(report, RecordingDoctorReport):
            _print_bout_counts(report)
        else:
            _print_class_counts(report)
        _print_findings(report.problems)
    if fix is not None and isinstance(report, RecordingDoctorReport):
        _write_fixed(report, fix, told=json_output, quiet=quiet)
    return exits.OK if report.ok else exits.ERROR


def _check_fix(fix: Path | None, data: Path, *, of_recordings: bool) -> None:
    if fix is None:
        return
    if not of_recordings:
        raise exits.UsageError(f"--fix {fix}: is for annotations of recordings, and {data} holds none")
    if fix.suffix.lower() != ".csv":
        raise exits.UsageError(f"--fix {fix}: is written as CSV; give it a name that ends in .csv")
    check_outputs(files=[("--fix", fix)], sources=[data if data.is_file() else data / "annotations.csv"])


def _write_fixed(report: RecordingDoctorReport, path: Path, *, told: bool, quiet: bool) -> None:
    from lrcn.annotations.formats import write_annotations
    from lrcn.data.recognition.recordings import detect_recordings

    write_annotations(report.clean, path, format="bouts-csv")
    if not told:
        for change in report.changes or ("nothing to change",):
            results_console().print(f"fixed: {change}", markup=False, soft_wrap=True)
    hint = "" if detect_recordings(path) else "; read it with --format bouts-csv"
    remark(f"written: {path}{hint}", quiet=quiet)


def _print_bout_counts(report: RecordingDoctorReport) -> None:
    console = results_console()
    console.print(f"{report.name}: {report.num_files} recordings", style="bold", markup=False, soft_wrap=True)
    labels = list(next(iter(report.counts.values()), {}))
    rows = [
        (label, *(f"{row[label].bouts} ({row[label].seconds:.1f} s)" for row in report.counts.values()))
        for label in labels
    ]
    if rows:
        console.print(simple_table(("bouts (seconds)", *report.counts), rows))


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
