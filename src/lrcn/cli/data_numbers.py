"""`lrcn data budget` and `lrcn data agree`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.types import PositiveFloat
from cyclopts.validators import Number

from lrcn.bouts import Annotations, Recording
from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import Json, Quiet
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import remark, results_console, simple_table, warn
from lrcn.errors import DataError, MediaError

if TYPE_CHECKING:
    from lrcn.metrics.agreement import Agreement
    from lrcn.metrics.time_budget import BudgetRow

AnnotationFile = Annotated[
    Path, Parameter(help="A file of annotations: a BORIS project, `annotations.csv` (path,label,start_s,end_s) ...")
]
Videos = Annotated[
    Path | None, Parameter(help="Folder with the videos. Left out, they are looked for beside the annotations.")
]


def budget(
    *annotations: AnnotationFile,
    bin_s: Annotated[PositiveFloat | None, Parameter(name="--bin")] = None,
    videos: Videos = None,
    output: Path | None = None,
    json_output: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say how often and how long each subject did what, as BORIS counts it: bouts by a person or a model.

    For each recording, subject and behaviour: how many bouts, time spent, mean duration, share of the time looked at in
    percent, seconds until the first. The files hold more: standard deviations, times between bouts, and how often one
    behaviour came after another. docs/behaviour.md says how each is defined.

    Args:
        bin_s: Length of time bins, in seconds. Left out, each recording is one.
        output: Folder for `time_budget.csv` and `transitions.csv`; made if missing.
    """
    if not annotations:
        raise UsageError("name at least one file of annotations; try: lrcn data budget --help")
    check_outputs(folders=[("--output", output)])
    from lrcn.metrics.time_budget import time_budget, transitions
    from lrcn.writers import write_table

    read, failures = _read_each(annotations, videos, quiet=quiet)
    recordings = [_with_length(recording) for one in read for recording in one.recordings]
    labels = _labels(read)
    rows, steps = time_budget(recordings, labels, bin_s=bin_s), transitions(recordings, labels)
    if rows and output is not None:
        write_table(rows, output / "time_budget.csv")
        write_table(steps, output / "transitions.csv")
        remark(f"written: {output / 'time_budget.csv'}, {output / 'transitions.csv'}", quiet=quiet)
    if json_output:
        said = {"time_budget": [asdict(row) for row in rows], "transitions": [asdict(step) for step in steps]}
        print(json.dumps(said, ensure_ascii=False))
    elif rows:
        _print_budget(rows)
    elif read:
        remark(f"no bouts in {len(recordings)} recordings: nothing to count, nothing is written", quiet=quiet)
    return exit_code_after(sum(one.num_bouts for one in read), failures, "files and events")


def agree(
    one: AnnotationFile,
    other: AnnotationFile,
    /,
    *,
    iou: Annotated[float, Parameter(validator=Number(gt=0, lte=1))] = 0.5,
    videos: Videos = None,
    json_output: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say how far two annotators agree, or a model and an annotator: Cohen's kappa and F1 of bouts.

    Recordings belong together if they, or else their videos, have the same name. What only one of the two looked at
    is left out. docs/behaviour.md says how each figure is defined.

    Args:
        iou: Least share of their common length that two bouts must overlap to be the same.
    """
    from lrcn.metrics.agreement import agreement
    from lrcn.metrics.recording_pairs import pair_recordings

    (first, second), failures = _read_both(one, other, videos, quiet=quiet)
    pairs, alone = pair_recordings(first.recordings, second.recordings)
    if not pairs:
        raise DataError(f"{one} and {other} have no recording in common; their recordings must be called the same")
    failures += [f"{name}: only one of the two files has this recording" for name in alone]
    found = agreement([type(pair)(*map(_with_length, pair)) for pair in pairs], _labels([first, second]), iou=iou)
    if json_output:
        print(json.dumps({**_without_nan(asdict(found)), "recordings": len(pairs), "iou": iou}, ensure_ascii=False))
    else:
        _print_agreement(found, len(pairs), iou)
    return exit_code_after(len(pairs), failures, "recordings and events")


def _read_each(paths: Sequence[Path], videos: Path | None, *, quiet: bool) -> tuple[list[Annotations], list[str]]:
    """Return what the files say, and a line for each file and each event that could not be read."""
    from lrcn.annotations.formats import read_annotations

    read: list[Annotations] = []
    failures: list[str] = []
    for path in paths:
        try:
            found = read_annotations(path, videos=videos)
        except DataError as exc:
            failures += exc.problems
            continue
        warn(found.warnings, quiet=quiet)
        failures += [f"{skipped.place}: {skipped.reason}" for skipped in found.skipped]
        read.append(found)
    return read, failures


def _read_both(
    one: Path, other: Path, videos: Path | None, *, quiet: bool
) -> tuple[tuple[Annotations, Annotations], list[str]]:
    read, failures = _read_each([one, other], videos, quiet=quiet)
    if len(read) < 2:
        raise DataError(failures[0])
    return (read[0], read[1]), failures


def _with_length(recording: Recording) -> Recording:
    """Return the recording with the length of its video, where the annotations do not say it and the video is there."""
    if recording.duration_s is not None or recording.path is None or not recording.path.exists():
        return recording
    from lrcn.video.read import probe

    try:
        return replace(recording, duration_s=probe(recording.path).duration_s)
    except MediaError:
        return recording


def _labels(read: Iterable[Annotations]) -> list[str]:
    return list(dict.fromkeys(label for one in read for label in one.labels))


def _print_budget(rows: Sequence[BudgetRow]) -> None:
    several = len({(row.recording, row.start_s) for row in rows}) > len({row.recording for row in rows})
    named = any(row.subject for row in rows)
    header = [
        "recording",
        *(["subject"] if named else []),
        *(["from s"] if several else []),
        *["behaviour", "bouts", "total s", "mean s", "percent", "first after s"],
    ]
    lines = [
        [
            row.recording,
            *([row.subject] if named else []),
            *([f"{row.start_s:g}"] if several else []),
            row.label,
            str(row.count),
            *(_cell(value) for value in (row.total_s, row.mean_s, row.percent, row.latency_s)),
        ]
        for row in rows
    ]
    results_console().print(simple_table(header, lines))


def _print_agreement(found: Agreement, num_recordings: int, iou: float) -> None:
    console = results_console()
    text = f"recordings in common: {num_recordings}; seconds that both looked at: {found.known_s:.1f}"
    console.print(text, style="bold", markup=False)
    scores = [
        ("Cohen's kappa", _cell(found.kappa, 3)),
        ("the same is said of", f"{_cell(100 * found.observed, 1)} % of the time"),
        (f"F1 of bouts, IoU {iou:g}", _cell(found.f1, 3)),
    ]
    console.print(simple_table(None, scores))
    console.print()
    rows = [
        (
            label,
            _cell(one.kappa, 3),
            _cell(one.f1, 3),
            _cell(100 * one.share_one, 1),
            _cell(100 * one.share_other, 1),
        )
        for label, one in found.classes.items()
    ]
    console.print(simple_table(("behaviour", "kappa", "F1 of bouts", "percent in first", "in second"), rows))


def _cell(value: float | None, digits: int = 2) -> str:
    return "NA" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
