"""`lrcn evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.cli.evaluate_captions import CAPTION_FLAGS, CaptionsMeasured, evaluate_captions
from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import (
    DATA_SET,
    BatchSize,
    Crops,
    Data,
    DataSet,
    Device,
    FlowModel,
    Json,
    Model,
    Quiet,
    RGBWeight,
    RuntimeName,
    Seed,
)
from lrcn.cli.outputs import check_outputs
from lrcn.cli.terminal import ProgressBar, print_report, remark, results_console
from lrcn.errors import MissingExtraError

if TYPE_CHECKING:
    from lrcn.evaluation.recognition.report import EvaluationReport, Predictor


def evaluate(
    model: Model,
    data: Data,
    /,
    *,
    split: str = "test",
    flow_model: FlowModel = None,
    rgb_weight: RGBWeight = None,
    crops: Crops = 1,
    output: Path | None = None,
    seed: Seed = 0,
    json_output: Json = False,
    device: Device = "auto",
    runtime: RuntimeName = None,
    batch_size: BatchSize = 64,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
    captions: CaptionsMeasured = CAPTION_FLAGS,
) -> int:
    """Measure how good a model is on a data set.

    Every video goes through the same code as in `lrcn recognize` or `lrcn caption`, so the numbers are those that users
    will see; nothing is taken from the training cache, but for the baseline of captions. What cannot be read counts in
    no score; it is listed, and the exit code is then 3.

    Args:
        split: Which part of the data set: test, val or train.
        output: Also write `report.json`, `predictions.csv` and, for recognition, `per_class.csv`, `confusion.csv` and
            `confusion.png`, for captions the page `captions.html` into this folder.
        seed: Seed of the training run, for `--split val` of a data set from which the run took its validation part;
            of captions drawn at random, too.
    """
    from lrcn.inference.loading import task_of

    check_outputs(folders=[("--output", output)])
    if task_of(model) == "captioning":
        given = [flag for flag in (flow_model, rgb_weight, data_set.flow_dir) if flag is not None]
        if given or crops != 1 or data_set.split_number != 1:
            raise UsageError(
                "--flow-model, --rgb-weight, --crops, --flow-dir and --split-number are for recognition models"
            )
        return evaluate_captions(
            model,
            data,
            split=split,
            output=output,
            seed=seed,
            json_output=json_output,
            device=device,
            runtime=runtime,
            batch_size=batch_size,
            quiet=quiet,
            data_set=data_set,
            captions=captions,
        )
    from lrcn.cli.two_stream import check_weight, load_two_stream, views_of
    from lrcn.data.recognition.flow import flow_path
    from lrcn.evaluation.recognition.report import evaluate as scores_of
    from lrcn.inference.recognition.predictor import Recognizer

    if captions != CAPTION_FLAGS:
        raise UsageError(f"{model} is a recognition model: the flags of captioning models do nothing")
    check_weight(rgb_weight, flow_model)
    predictor: Predictor
    if flow_model is None:
        recognizer = predictor = Recognizer.load(
            model, device=device, runtime=runtime, batch_size=batch_size, views=views_of(crops)
        )
        data_set.check_stream(recognizer.header.preprocess.stream)
        known = data_set.read(data, seed=seed)
    else:
        flow_file_of = None if data_set.flow_dir is None else partial(flow_path, data_set.flow_dir, data)
        predictor = load_two_stream(
            model,
            flow_model,
            rgb_weight,
            crops,
            device=device,
            runtime=runtime,
            batch_size=batch_size,
            flow_file_of=flow_file_of,
        )
        known = data_set.read_videos(data, seed=seed)
    for warning in known.warnings:
        remark(f"lrcn: warning: {warning}", quiet=quiet)
    with ProgressBar(1, quiet=quiet) as bar:
        report = scores_of(
            predictor,
            known,
            split=split,
            on_progress=lambda done, total: bar.update(done, f"{split} video {min(done + 1, total)} of {total}", total),
        )
    if json_output:
        print(report.to_json())
    else:
        print_report(results_console(), report)
    if output is not None:
        _save(report, output, quiet=quiet)
    return exit_code_after(report.num_videos, [failure.message for failure in report.failures], "videos")


def _save(report: EvaluationReport, folder: Path, *, quiet: bool) -> None:
    import numpy as np

    from lrcn.plots.charts import save_confusion

    report.save(folder)
    try:
        save_confusion(np.array(report.confusion), report.labels, folder / "confusion.png")
    except MissingExtraError as exc:
        remark(f"no confusion.png: {exc}", quiet=quiet)
    remark(f"report: {folder}", quiet=quiet)
