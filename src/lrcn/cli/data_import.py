"""`lrcn data import`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveFloat

from lrcn.bouts import Annotations
from lrcn.cli import exits
from lrcn.cli.options import Json, Quiet
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import remark, results_console, simple_table


def import_(
    annotations: Annotated[Path, Parameter(name="SRC")],
    /,
    *,
    output: Path | None = None,
    to: str | None = None,
    format: str = "auto",
    videos: Path | None = None,
    subject: str | None = None,
    looked_at: Literal["auto", "whole", "bouts"] = "auto",
    fps: PositiveFloat | None = None,
    json_output: Json = False,
    quiet: Quiet = False,
) -> int:
    """Look at annotations that another program wrote, and turn them into those of a third.

    Reads BORIS projects and exports, ELAN, CVAT, Label Studio, FiftyOne, ActivityNet, Audacity's label tracks and our
    own CSV; docs/annotations.md says what of each. Prints how many bouts of which behaviour there are, and a line for
    each event that could not be read. Exit code 3 if there is one, or something else is wrong.

    Args:
        annotations: The file, or a folder of files of one format.
        output: File to write; its suffix says the format: .csv (ours), .boris, .tsv (BORIS's events), .eaf, .json
            (Label Studio), .srt, .vtt. For .eaf, .srt and .vtt, a file a recording, also a folder, with `--to`.
        to: Format to write, where the suffix does not say it: bouts-csv, boris-project, boris-events, boris-aggregated,
            elan, label-studio, activitynet, srt, vtt.
        format: Format to read; `auto` recognises it. Others: those above without srt and vtt, and cvat, fiftyone,
            label-track.
        videos: Folder below which the videos lie. Left out, they are looked for beside the annotations.
        subject: Keep the bouts of this subject only.
        looked_at: What the annotator went through: `auto`, what the format says; `whole`, every recording from start to
            end; `bouts`, nothing but the bouts.
        fps: Frame rate of the videos, for formats that count frames, where neither the file nor the video tells it.
    """
    if to is not None and output is None:
        raise exits.UsageError(f"--to {to} is the format of a file to write; name it with --output")
    sources = [path for path in (annotations,) if path.is_file()]
    check_outputs(files=[("--output", None if output is None or output.is_dir() else output)], sources=sources)
    from lrcn.annotations.formats import format_for, read_annotations, write_annotations

    into = None if output is None else to or format_for(output)
    found = read_annotations(annotations, format=format, videos=videos, subject=subject, looked_at=looked_at, fps=fps)
    if json_output:
        print(json.dumps(_summary(found), ensure_ascii=False))
    else:
        _print(found)
    for warning in found.warnings:
        remark(f"lrcn: warning: {warning}")
    if output is not None:
        for loss in write_annotations(found, output, format=into):
            remark(f"lrcn: warning: {loss}")
        remark(f"written: {output} ({into})", quiet=quiet)
    failures = [f"{skipped.place}: {skipped.reason}" for skipped in found.skipped]
    code = exits.exit_code_after(found.num_events - len(failures), failures, "events")
    return exits.SOME_FAILED if code == exits.OK and found.warnings else code


def _summary(found: Annotations) -> dict[str, object]:
    return {
        "name": found.name,
        "recordings": len(found.recordings),
        "events": found.num_events,
        "bouts": found.num_bouts,
        "copies": found.num_copies,
        "skipped": [asdict(skipped) for skipped in found.skipped],
        "warnings": list(found.warnings),
        "labels": {
            label: {"bouts": row[1], "point_events": row[2], "seconds": row[3], "recordings": row[0]}
            for label, row in _by_label(found).items()
        },
    }


def _by_label(found: Annotations) -> dict[str, tuple[int, int, int, float]]:
    """Return the recordings, bouts, point events and seconds of each label."""
    rows = {}
    for label in found.labels:
        own = [[bout for bout in one.bouts if bout.label == label] for one in found.recordings]
        bouts = [bout for some in own for bout in some]
        points = sum(bout.is_point for bout in bouts)
        rows[label] = (sum(map(bool, own)), len(bouts) - points, points, sum(bout.duration_s for bout in bouts))
    return rows


def _print(found: Annotations) -> None:
    console = results_console()
    copies = f", {found.num_copies} more by files and cameras that share an event" if found.num_copies else ""
    text = (
        f"{found.name}: {found.num_events} events: {found.num_events - len(found.skipped)} read{copies}, "
        f"{len(found.skipped)} skipped; {len(found.recordings)} recordings"
    )
    console.print(text, style="bold", markup=False, soft_wrap=True)
    rows = [
        (label, str(recordings), str(bouts), str(points), f"{seconds:.1f}")
        for label, (recordings, bouts, points, seconds) in _by_label(found).items()
    ]
    if rows:
        console.print(simple_table(("behaviour", "recordings", "bouts", "point events", "seconds"), rows))
    unsaid = sum(one.looked_at is None for one in found.recordings)
    if unsaid:
        console.print(
            f"{unsaid} of {len(found.recordings)} recordings do not say that they were gone through: of them only the "
            "bouts are known, not what lies between; if they were, say --looked-at whole",
            markup=False,
            soft_wrap=True,
        )
