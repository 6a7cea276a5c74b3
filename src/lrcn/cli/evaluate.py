"""`lrcn evaluate`."""

from __future__ import annotations

from pathlib import Path

from lrcn.cli.evaluation_flags import CAPTION_FLAGS, CaptionsMeasured, EvaluationFlags
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
from lrcn.tasks import TASKS


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
    flags = EvaluationFlags(
        model=model,
        data=data,
        split=split,
        flow_model=flow_model,
        rgb_weight=rgb_weight,
        crops=crops,
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
    return TASKS[task_of(model)].evaluate_command()(flags)
