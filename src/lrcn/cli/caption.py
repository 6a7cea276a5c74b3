"""`lrcn caption`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveFloat
from rich.console import Console

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import BatchSize, CaptionModel, Device, Isolate, Json, Quiet, RuntimeName, Seed
from lrcn.cli.outputs import check_outputs, results_in
from lrcn.cli.search_flags import SEARCH, Search
from lrcn.cli.sources import expand_each
from lrcn.cli.terminal import ProgressBar, print_json, results_console, warn
from lrcn.results import Caption, CaptionResult
from lrcn.video.inputs import Source


def caption(
    *sources: str,
    model: CaptionModel = "photos",
    segment_s: PositiveFloat = 10.0,
    json_output: Json = False,
    csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
    coco: Path | None = None,
    srt: Path | None = None,
    vtt: Path | None = None,
    seed: Seed = 0,
    device: Device = "auto",
    runtime: RuntimeName = None,
    batch_size: BatchSize = 64,
    isolate: Isolate = False,
    quiet: Quiet = False,
    search: Search = SEARCH,
) -> int:
    """Say in a sentence what pictures and videos show.

    Videos longer than a segment get a sentence for each segment, too. What cannot be read is reported at the end, after
    the others are done, and the exit code is then 3.

    Args:
        sources: Pictures and videos: files, folders (searched for both), globs such as `'photos/*.jpg'`.
        segment_s: Length of the segments of long videos, in seconds; a last one below half of it joins the one before.
        csv_file: Also write this CSV file: source, start, end, caption, log probability, rank.
        coco: Also write this JSON file in the COCO results format; `image_id` is the number in the file's name.
        srt: Also write the captions of each video into this folder as SubRip subtitles, `NAME.srt`.
        vtt: Also write the captions of each video into this folder as WebVTT subtitles, `NAME.vtt`.
        seed: Of captions drawn at random; the same picture gets the same ones, whatever else is captioned with it.
    """
    if not sources:
        raise UsageError("name at least one picture, video, folder or glob; try: lrcn caption --help")
    from lrcn.inference.captioning.predictor import Captioner
    from lrcn.video.isolation import isolated_decoding
    from lrcn.video.sources import expand_sources

    paths, failures = expand_each(sources, partial(expand_sources, pictures=True))
    check_outputs(
        files=[("--csv", csv_file), ("--coco", coco)], folders=[("--srt", srt), ("--vtt", vtt)], sources=paths
    )
    captioner = Captioner.load(model, device=device, runtime=runtime, batch_size=batch_size)
    if coco is not None:
        _check_image_ids(paths)
    console = results_console()
    num_done = 0
    outputs = (
        ("captions as a table", csv_file, "csv"),
        ("captions as COCO results", coco, "coco"),
        ("subtitles", srt, "srt"),
        ("subtitles", vtt, "vtt"),
    )
    with (
        isolated_decoding() if isolate else nullcontext(),
        results_in(outputs, "captioning", quiet=quiet) as add,
        ProgressBar(len(paths), quiet=quiet) as bar,
    ):
        num_failed_before = len(failures)

        def show(source: Source, done_s: float) -> None:
            done = num_done + len(failures) - num_failed_before
            bar.update(done, f"{Path(str(source)).name}: {done_s:.0f} s", len(paths))

        for result in captioner.stream(
            paths,
            segment_s=segment_s,
            on_failure=lambda source, exc: failures.append(str(exc)),
            on_progress=show,
            search=search.search(seed),
        ):
            add(result)
            num_done += 1
            bar.update(num_done, Path(result.source).name, len(paths))
            with bar.hidden():
                print_json(result.to_dict()) if json_output else _print(console, result)
                warn(result.warnings, quiet=quiet)
    return exit_code_after(num_done, failures, "sources")


def _check_image_ids(paths: Sequence[Path]) -> None:
    from lrcn.writers import coco_image_id

    ids = Counter(coco_image_id(str(path)) for path in paths)
    for image_id, count in ids.items():
        if count > 1:
            raise UsageError(f"--coco: {count} sources have the image_id {image_id!r}; name them apart, or use --csv")


def _print(console: Console, result: CaptionResult) -> None:
    """Print a source and its captions: one line where there is one caption."""
    if len(result.captions) == 1 and not result.segments:
        console.print(f"{result.source}  {result.text}", markup=False, soft_wrap=True)
        return
    length = f"  {result.duration_s:.1f} s" if result.duration_s else ""
    console.print(f"{result.source}{length}", style="bold", markup=False, soft_wrap=True)
    _print_captions(console, "whole video" if result.segments else "", result.captions)
    for segment in result.segments:
        _print_captions(console, f"{segment.start_s:.1f} - {segment.end_s:.1f} s", segment.captions)


def _print_captions(console: Console, when: str, captions: Sequence[Caption]) -> None:
    for i, one in enumerate(captions):
        place = f"{when if i == 0 else '':>17}"
        number = f"  {one.log_prob:7.2f}" if len(captions) > 1 else ""
        console.print(f"{place}{number}  {one.text}", markup=False, soft_wrap=True)
