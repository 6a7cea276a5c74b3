"""What `lrcn evaluate` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt

from lrcn.cli.options import DataFlags
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
    """Everything that the command was given, for the task that the model file names."""

    model: str
    data: Path
    split: str
    flow_model: str | None
    rgb_weight: float | None
    crops: int
    output: Path | None
    seed: int
    json_output: bool
    device: str
    runtime: str | None
    batch_size: int
    quiet: bool
    data_set: DataFlags
    captions: CaptionFlags
