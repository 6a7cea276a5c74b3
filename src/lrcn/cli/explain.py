"""`lrcn explain`."""

from __future__ import annotations

from pathlib import Path

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import BatchSize, Device, Model, Quiet, RegionOfInterest
from lrcn.cli.outputs import check_outputs
from lrcn.cli.sources import expand_each
from lrcn.cli.terminal import ProgressBar, remark, results_console
from lrcn.errors import MediaError
from lrcn.files import name_for


def explain(
    *sources: str,
    model: Model = "demo",
    label: str | None = None,
    roi: RegionOfInterest = None,
    output: Path = Path(),
    device: Device = "auto",
    batch_size: BatchSize = 64,
    quiet: Quiet = False,
) -> int:
    """Show which places in a video speak for a label.

    Draws the frames of the clip in which the label is most probable, the same frames with the places that speak for it
    (Grad-CAM: gradients of the logarithm of its probability), and its probability beneath.

    Args:
        sources: Videos: files, folders (searched for videos), globs such as `'clips/*.mp4'`.
        label: The label to explain. Left out, the most probable one of each video.
        output: The picture, a `.png` file; or a folder for `NAME.explained.png` of each video. Left out, the current
            folder.
    """
    if not sources:
        raise UsageError("name at least one video, folder or glob; try: lrcn explain --help")
    from lrcn.inference.recognition.explaining import explain as explained
    from lrcn.inference.recognition.predictor import Recognizer
    from lrcn.plots.explained import save_explanation
    from lrcn.video.sources import expand_sources

    paths, failures = expand_each(sources, expand_sources)
    is_file = output.suffix.lower() == ".png" and not output.is_dir()
    if is_file and len(paths) > 1:
        raise UsageError(f"--output {output} is one picture, and there are {len(paths)} videos: name a folder")
    taken: set[str] = set()
    targets = [output if is_file else output / name_for(path, ".explained.png", taken) for path in paths]
    check_outputs(files=[("--output", target) for target in targets], sources=paths)
    recognizer = Recognizer.load(model, device=device, batch_size=batch_size)
    num_done = 0
    console = results_console()
    with ProgressBar(len(paths), quiet=quiet) as bar:
        for done, (path, target) in enumerate(zip(paths, targets, strict=True)):
            bar.update(done, path.name)
            try:
                found = explained(recognizer, path, label=label, roi=roi)
            except MediaError as exc:
                failures.append(str(exc))
                continue
            save_explanation(found, target)
            first_s, last_s = found.times_s[0], found.times_s[-1]
            with bar.hidden():
                console.print(
                    f"{path}: {found.label} {found.prob:.0%}, {first_s:.1f} to {last_s:.1f} s",
                    markup=False,
                    soft_wrap=True,
                )
                remark(f"picture: {target}", quiet=quiet)
            num_done += 1
    return exit_code_after(num_done, failures, "sources")
