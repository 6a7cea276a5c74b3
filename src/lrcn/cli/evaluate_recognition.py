"""`lrcn evaluate` for recognition models."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.cli.evaluation_flags import CAPTION_FLAGS, EvaluationFlags
from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.recordings_report import print_comparison, print_recordings_report
from lrcn.cli.terminal import ProgressBar, print_json, print_report, remark, results_console, warn
from lrcn.errors import MissingExtraError

if TYPE_CHECKING:
    from lrcn.data.recognition.examples import RecognitionData
    from lrcn.evaluation.recognition.comparing import Comparison
    from lrcn.evaluation.recognition.recording_report import RecordingsReport
    from lrcn.evaluation.recognition.report import EvaluationReport
    from lrcn.inference.recognition.calling import VideoRecognizer


def evaluate_recognition(model: str, data: Path, flags: EvaluationFlags) -> int:
    """Print the scores of a recognition model on a data set; return the exit code."""
    from lrcn.cli.two_stream import check_weight
    from lrcn.evaluation.evaluating import evaluate
    from lrcn.evaluation.recognition.comparing import compare
    from lrcn.evaluation.recognition.recording_report import RecordingsReport

    if flags.captions != CAPTION_FLAGS:
        raise UsageError(f"{model} is a recognition model: the flags of captioning models do nothing")
    check_weight(flags.rgb_weight, flags.flow_model)
    recognizer, known = _opened(model, data, flags)
    other = None if flags.compare is None else _other(flags.compare, flags)
    warn(known.warnings, quiet=flags.quiet)
    if known.undivided and flags.split == "test":
        number = f"{len(known.recordings)} recordings" if known.recordings else f"{len(known.examples)} clips"
        about = "of these, what the model was trained on scores too well"
        remark(f"{known.name} has no splits: all {number} are scored; {about}", quiet=flags.quiet)
    comparison = None
    with ProgressBar(1, quiet=flags.quiet) as bar:
        report = evaluate(recognizer, known, split=flags.split, on_progress=bar.count)
        if other is not None:
            comparison = compare(report, evaluate(other, known, split=flags.split, on_progress=bar.count))
    if flags.json_output:
        print_json(report.to_dict() if comparison is None else {**report.to_dict(), "compared": comparison.to_dict()})
    else:
        console = results_console()
        if isinstance(report, RecordingsReport):
            print_recordings_report(console, report)
        else:
            print_report(console, report)
        if comparison is not None:
            print_comparison(console, comparison)
    if flags.output is not None:
        _save(report, recognizer, comparison, flags.output, quiet=flags.quiet)
    messages = [failure.message for failure in report.failures]
    if isinstance(report, RecordingsReport):
        warn(report.warnings, quiet=flags.quiet)
        return exit_code_after(report.num_recordings, messages, "recordings")
    return exit_code_after(report.num_videos, messages, "videos")


def _opened(model: str, data: Path, flags: EvaluationFlags) -> tuple[VideoRecognizer, RecognitionData]:
    """Return the model, or two of two streams, and the data set."""
    from lrcn.cli.two_stream import load_streams
    from lrcn.data.recognition.flow import flow_path
    from lrcn.inference.recognition.two_stream import TwoStreamRecognizer

    data_set = flags.data_set
    if flags.split == "test" and data_set.of_recordings(data) is None:
        data_set = replace(data_set, val_fraction=0.0)  # nothing is held out, so that nothing is said about it
    recognizer = load_streams(
        model,
        flags.flow_model,
        flags.rgb_weight,
        flags.crops,
        device=flags.device,
        runtime=flags.runtime,
        batch_size=flags.batch_size,
        flow_file_of=None if data_set.flow_dir is None else partial(flow_path, data_set.flow_dir, data),
    )
    if isinstance(recognizer, TwoStreamRecognizer):
        return recognizer, data_set.read_videos(data, seed=flags.seed)
    preprocess = recognizer.header.preprocess
    data_set.check_stream(preprocess.stream)
    return recognizer, data_set.read(data, seed=flags.seed, vectors=preprocess.vectors)


def _other(model: str, flags: EvaluationFlags) -> VideoRecognizer:
    from lrcn.cli.two_stream import load_streams

    return load_streams(
        model, None, None, flags.crops, device=flags.device, runtime=flags.runtime, batch_size=flags.batch_size
    )


def _save(
    report: EvaluationReport | RecordingsReport,
    recognizer: VideoRecognizer,
    comparison: Comparison | None,
    folder: Path,
    *,
    quiet: bool,
) -> None:
    from lrcn.evaluation.recognition.page import write_clips_page, write_recordings_page
    from lrcn.evaluation.recognition.recording_report import RecordingsReport

    report.save(folder)
    if comparison is not None:
        comparison.save(folder / "comparison.csv")
    with ProgressBar(1, quiet=quiet) as bar:
        bar.update(0, "writing the page")
        if isinstance(report, RecordingsReport):
            write_recordings_page(folder / "index.html", report, recognizer, comparison)
        else:
            write_clips_page(folder / "index.html", report, recognizer, comparison)
    if not isinstance(report, RecordingsReport):
        _save_charts(report, folder, quiet=quiet)
    remark(f"report: {folder}", quiet=quiet)


def _save_charts(report: EvaluationReport, folder: Path, *, quiet: bool) -> None:
    import numpy as np

    from lrcn.plots.charts import save_confusion, save_reliability

    try:
        save_confusion(np.array(report.confusion), report.labels, folder / "confusion.png")
        save_reliability(report.reliability, folder / "reliability.png")
    except MissingExtraError as exc:
        remark(f"no charts: {exc}", quiet=quiet)
