"""What `lrcn evaluate` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt

from lrcn.cli.options import (
    DATA_SET,
    BatchSize,
    Crops,
    DataSet,
    Device,
    FlowModel,
    Json,
    Quiet,
    RGBWeight,
    RuntimeName,
    Seed,
)
from lrcn.cli.search_flags import SearchFlags


@dataclass(frozen=True, kw_only=True)
class CaptionFlags(SearchFlags):
    """What is measured of a captioning model, and how it searches for captions."""

    baselines: Annotated[bool, Parameter(negative="--no-baselines", show_default=False)] = True
    """Score the nearest training picture's caption and the most frequent one, too; the first run on a data set looks at
    all training pictures, unless training has cached their features."""
    retrieval_limit: NonNegativeInt = 1000
    """Search among the first so many examples; 0 for no retrieval. Its time grows with the square."""
    vectors: Path | None = None
    """`.safetensors` or `.csv` file of ready vectors, for models that read those and no pictures."""


CAPTION_FLAGS = CaptionFlags()
CaptionsMeasured = Annotated[CaptionFlags, Parameter(name="*", group="Captioning models")]


@dataclass(frozen=True, kw_only=True)
class EvaluationFlags:
    """What the command was told, for the task that the model file names."""

    split: str = "test"
    """Which part of the data set: test, val or train."""
    flow_model: FlowModel = None
    rgb_weight: RGBWeight = None
    crops: Crops = 1
    output: Path | None = None
    """Also write into this folder: `report.json`, tables of everything as CSV, and a page to look at and to send,
    `index.html` (of captions `captions.html`)."""
    compare: str | None = None
    """Another recognition model, on the same data: the differences with their intervals."""
    seed: Seed = 0
    """Seed of the training run, for `--split val` of a data set from which the run took its validation part; of
    captions drawn at random, too."""
    json_output: Json = False
    device: Device = "auto"
    runtime: RuntimeName = None
    batch_size: BatchSize = 64
    quiet: Quiet = False
    data_set: DataSet = DATA_SET
    captions: CaptionsMeasured = CAPTION_FLAGS


EVALUATION_FLAGS = EvaluationFlags()
Evaluation = Annotated[EvaluationFlags, Parameter(name="*")]
