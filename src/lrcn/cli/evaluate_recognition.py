"""`lrcn evaluate` for recognition models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.cli.evaluation_flags import CAPTION_FLAGS, EvaluationFlags
from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.terminal import ProgressBar, print_json, print_report, remark, results_console, warn
from lrcn.errors import MissingExtraError

if TYPE_CHECKING:
    from lrcn.evaluation.recognition.report import EvaluationReport


def evaluate_recognition(model: str, data: Path, flags: EvaluationFlags) -> int:
    """Print the scores of a recognition model on a data set; return the exit code."""
    from lrcn.cli.two_stream import check_weight, load_streams
    from lrcn.data.recognition.flow import flow_path
    from lrcn.evaluation.evaluating import evaluate
    from lrcn.inference.recognition.two_stream import TwoStreamRecognizer

    data_set = flags.data_set
    if flags.captions != CAPTION_FLAGS:
        raise UsageError(f"{model} is a recognition model: the flags of captioning models do nothing")
    check_weight(flags.rgb_weight, flags.flow_model)
    predictor = load_streams(
        model,
        flags.flow_model,
        flags.rgb_weight,
        flags.crops,
        device=flags.device,
        runtime=flags.runtime,
        batch_size=flags.batch_size,
        flow_file_of=None if data_set.flow_dir is None else partial(flow_path, data_set.flow_dir, data),
    )
    if isinstance(predictor, TwoStreamRecognizer):
        known = data_set.read_videos(data, seed=flags.seed)
    else:
        data_set.check_stream(predictor.header.preprocess.stream)
        known = data_set.read(data, seed=flags.seed)
    warn(known.warnings, quiet=flags.quiet)
    if known.undivided and flags.split == "test":
        about = "of these, what the model was trained on scores too well"
        remark(f"{known.name} has no splits: all {len(known.examples)} clips are scored; {about}", quiet=flags.quiet)
    with ProgressBar(1, quiet=flags.quiet) as bar:
        report = evaluate(predictor, known, split=flags.split, on_progress=bar.count)
    if flags.json_output:
        print_json(report.to_dict())
    else:
        print_report(results_console(), report)
    if flags.output is not None:
        _save(report, flags.output, quiet=flags.quiet)
    return exit_code_after(report.num_videos, [failure.message for failure in report.failures], "videos")


def _save(report: EvaluationReport, folder: Path, *, quiet: bool) -> None:
    import numpy as np

    from lrcn.plots.charts import save_confusion, save_reliability

    report.save(folder)
    try:
        save_confusion(np.array(report.confusion), report.labels, folder / "confusion.png")
        save_reliability(report.reliability, folder / "reliability.png")
    except MissingExtraError as exc:
        remark(f"no charts: {exc}", quiet=quiet)
    remark(f"report: {folder}", quiet=quiet)
