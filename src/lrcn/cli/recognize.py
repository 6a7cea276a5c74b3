"""`lrcn recognize`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from lrcn.cli.bout_flags import BOUT_FLAGS, Bouts
from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import (
    BatchSize,
    Crops,
    Device,
    FlowModel,
    Isolate,
    Json,
    Model,
    Quiet,
    RegionOfInterest,
    RGBWeight,
    RuntimeName,
    UnknownBelow,
)
from lrcn.cli.outputs import check_outputs, results_in
from lrcn.cli.sources import expand_each
from lrcn.cli.terminal import ProgressBar, print_bouts, print_json, print_result, remark, results_console, warn
from lrcn.errors import MediaError
from lrcn.files import name_for


def recognize(
    *sources: str,
    model: Model = "demo",
    top_k: PositiveInt = 5,
    flow_model: FlowModel = None,
    rgb_weight: RGBWeight = None,
    crops: Crops = 1,
    roi: RegionOfInterest = None,
    clip_stride: PositiveInt | None = None,
    unknown_below: UnknownBelow = None,
    json_output: Json = False,
    csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
    probs: Path | None = None,
    srt: Path | None = None,
    vtt: Path | None = None,
    save_video: Path | None = None,
    device: Device = "auto",
    runtime: RuntimeName = None,
    batch_size: BatchSize = 64,
    isolate: Isolate = False,
    bout_flags: Bouts = BOUT_FLAGS,
    quiet: Quiet = False,
) -> int:
    """Say what happens in videos, and when.

    Prints the most probable labels of each video and a timeline; with `--bouts`, how often and how long each is shown.
    A video that cannot be read is reported at the end, after the others are done, and the exit code is then 3.

    Args:
        sources: Videos: files, folders (searched for videos), globs such as `'clips/*.mp4'`. A folder that holds only
            images is one video. For a model that reads ready vectors, files and folders of those.
        top_k: Labels to name, most probable first.
        clip_stride: Frames between the starts of neighbouring windows; smaller gives a finer timeline. Left out, the
            model's own.
        csv_file: Also write this CSV file, one row a window.
        probs: Also write this CSV file, one row a window with the probability of every class.
        srt: Also write the timeline of each video into this folder as SubRip subtitles, `NAME.srt`.
        vtt: Also write the timeline of each video into this folder as WebVTT subtitles, `NAME.vtt`.
        save_video: Also write each video into this folder as `NAME.labelled.mp4`, with label, probability and
            timeline on every frame, and with its sound. A varying frame rate becomes its mean.
    """
    if not sources:
        raise UsageError("name at least one video, folder or glob; try: lrcn recognize --help")
    bout_flags.check()
    if bout_flags.bouts is not None and clip_stride is not None:
        raise UsageError("--clip-stride is about windows, and --bouts has a stride of its own: leave one of them out")
    if bout_flags.bouts is not None and unknown_below is not None:
        raise UsageError("--unknown-below is about videos and windows; of bouts say --threshold")
    if bout_flags.tracks is not None:
        windowed: dict[str, object] = {
            "--csv": csv_file,
            "--probs": probs,
            "--srt": srt,
            "--vtt": vtt,
            "--save-video": save_video,
        }
        windowed |= {"--roi": roi, "--flow-model": flow_model}
        if given := [flag for flag, value in windowed.items() if value is not None]:
            raise UsageError(f"{given[0]} is about the whole picture, and --tracks is not: leave one of them out")
    from lrcn.cli.bout_output import BoutOutput
    from lrcn.cli.two_stream import check_weight, load_streams
    from lrcn.data.problems import first_of
    from lrcn.plots.labelled_video import write_labelled_video
    from lrcn.video.isolation import isolated_decoding
    from lrcn.video.sources import expand_sources

    check_weight(rgb_weight, flow_model)
    recognizer = load_streams(
        model, flow_model, rgb_weight, crops, device=device, runtime=runtime, batch_size=batch_size
    )
    reads_vectors = recognizer.header.preprocess.vectors is not None
    if reads_vectors and (save_video is not None or bout_flags.review):
        flag = "--save-video" if save_video is not None else "--review"
        raise UsageError(f"{flag} shows pictures, and {model} reads ready vectors: leave it out")
    paths, failures = expand_each(sources, partial(expand_sources, vectors=reads_vectors))
    if bout_flags.tracks is not None and len(paths) > 1 and not bout_flags.tracks.is_dir():
        raise UsageError(f"--tracks {bout_flags.tracks} is of one video; for {len(paths)} name a folder of such files")
    targets = _labelled_paths(paths, save_video) if save_video else [None] * len(paths)
    check_outputs(
        files=[("--csv", csv_file), ("--probs", probs), *(("--save-video", target) for target in targets)],
        folders=[("--srt", srt), ("--vtt", vtt), ("--save-video", save_video), ("--bouts", bout_flags.bouts)],
        sources=paths,
    )
    if unknown_below is not None:
        recognizer.unknown_below = unknown_below
    finder = None
    if bout_flags.bouts is not None:
        finder = BoutOutput(recognizer, bout_flags, crops=crops, rgb_weight=rgb_weight, roi=roi)
        finder.check(paths)
    console = results_console()
    num_done = 0
    outputs = (
        ("windows as a table", csv_file, "csv"),
        ("probabilities as a table", probs, "window-probs"),
        ("subtitles", srt, "srt"),
        ("subtitles", vtt, "vtt"),
    )
    with (
        isolated_decoding() if isolate else nullcontext(),
        results_in(outputs, "recognition", quiet=quiet) as add,
        ProgressBar(len(paths), quiet=quiet) as bar,
    ):
        for i, (path, target) in enumerate(zip(paths, targets, strict=True)):
            text = path.name if len(paths) == 1 else f"{path.name} ({i + 1} of {len(paths)})"
            try:
                shown = None if reads_vectors else path
                reading, writing = _stages(bar, shown, i, text, 1 if target is None else 2)
                if finder is not None:
                    result = finder.find(path, top_k=top_k, on_progress=reading)
                else:
                    result = recognizer(path, top_k=top_k, clip_stride=clip_stride, roi=roi, on_progress=reading)
            except MediaError as exc:
                failures.append(str(exc))
                continue
            add(result)
            with bar.hidden():
                if json_output:
                    print_json(result.to_dict())
                elif finder is not None:
                    print_bouts(console, result)
                else:
                    print_result(console, result)
                warn(result.warnings, quiet=quiet)
            if target is not None:
                try:
                    write_labelled_video(path, result, target, on_progress=writing)
                except MediaError as exc:
                    failures.append(str(exc))
                    continue
                with bar.hidden():
                    remark(f"labelled video: {target}", quiet=quiet)
            num_done += 1
        if finder is not None and num_done:
            try:
                for what, written in finder.finish(on_progress=partial(bar.count, "clips to review")):
                    with bar.hidden():
                        remark(f"{what}: {written}", quiet=quiet)
            except MediaError as exc:
                failures.append(str(exc))
            warn(finder.lost(), quiet=quiet)
            if others := finder.others():
                told = f"{bout_flags.bouts} also holds {first_of(others)}, of other recordings or of an earlier run"
                warn((told,), quiet=quiet)
            if finder.num_kept:
                remark(f"{finder.num_kept} of {num_done} looked at before, and not again", quiet=quiet)
    return exit_code_after(num_done, failures, "sources")


def _stages(
    bar: ProgressBar, path: Path | None, num_before: int, text: str, num_stages: int
) -> tuple[Callable[[float], None], Callable[[float], None]]:
    """Return a function for each stage of a source, which moves the bar to the seconds of video that it is given.

    Where there is no video (None) the bar does not move: vectors take no time.
    """
    from lrcn.video.read import probe

    bar.update(num_before, text)
    duration_s = probe(path).duration_s if bar.shown and path is not None else 0.0

    def show(stage: int, done_s: float) -> None:
        share = min(1.0, done_s / duration_s) if duration_s else 0.0
        bar.update(num_before + (stage + share) / num_stages, text)

    return partial(show, 0), partial(show, 1)


def _labelled_paths(sources: Sequence[Path], folder: Path) -> list[Path]:
    """Return where each labelled video goes; equal names from different folders get a number."""
    taken: set[str] = set()
    return [folder / name_for(source, ".labelled.mp4", taken) for source in sources]
