"""A model as a folder of graphs, checked against torch before it appears: `lrcn export`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lrcn import model_file
from lrcn.config import ModelHeader
from lrcn.data.captioning.examples import CaptionData
from lrcn.data.recognition.examples import RecognitionData
from lrcn.errors import ConfigError, ModelFileError
from lrcn.files import replacing_folder
from lrcn.graphs.conversion import write_graphs
from lrcn.graphs.exported import DESCRIPTION, ExportedModel, Format, file_names, is_exported, write_description
from lrcn.tasks import TASKS


class Parity(Protocol):
    """How far the graphs are from torch: a dataclass, printed in one line."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def passed(self) -> bool:
        """Whether that is near enough."""


class SplitCheck(Protocol):
    """How a quantised model does on a split, beside torch: a dataclass, printed in one line."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def fault(self) -> str:
        """Why it must not be written; empty if it may be."""


class Export(Protocol):
    """A model on its way into a folder, made of (model, data set or None, split, what is told the progress)."""

    header: ModelHeader
    network: nn.Module

    def calibration_crops(self) -> list[NDArray[np.uint8]]:
        """Return frames of the training examples as the backbone sees them."""

    def check(self, exported: ExportedModel) -> tuple[Parity, SplitCheck | None]:
        """Compare the graphs with torch and, where there is data and the first check is passed, on the split."""


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how far its answers are from torch's."""

    folder: Path
    task: str
    """Name of a row of `lrcn.tasks`."""
    files: tuple[str, ...]
    num_bytes: int
    parity: Parity
    split: SplitCheck | None = None
    """Of int8."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return {**asdict(self), "folder": str(self.folder)}


def export_model(
    model: str | Path,
    output: str | Path,
    *,
    format: Format = "onnx",
    calibrate: str | Path | RecognitionData | CaptionData | None = None,
    split: str = "test",
    on_progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Write the graphs of a model into a folder; `lrcn.graphs.exported` says what they are.

    They are run beside torch on random and real frames at three batch sizes; where an error is past its limit the
    folder is not written. An earlier export in the folder is replaced.

    Args:
        model: What `lrcn.load` takes, but for exported folders.
        output: The folder; if it is there, it must be empty or hold an earlier export.
        format: `onnx` or `openvino`.
        calibrate: A data set: quantise the backbone to int8, with the ranges seen on its training videos or pictures.
        split: With `calibrate`: the part of the data set on which the int8 graphs are compared with torch.
        on_progress: Told what is being done.

    Raises:
        ConfigError: If the network cannot be exported, its check fails, or the folder holds something else.
        DataError: If the data set cannot be used for calibration.
        MissingExtraError: If a package of the extra `export` is missing.
        ModelFileError: If the model file cannot be used.
    """
    output = Path(output)
    _check_free(output)
    tell = on_progress or (lambda text: None)
    subject: Export = TASKS[model_file.stated_task(model)].export()(model, calibrate, split, tell)
    calibration = None if calibrate is None else subject.calibration_crops()
    with replacing_folder(output) as unfinished:
        tell("making the graphs")
        exported = write_graphs(subject.header, subject.network, unfinished, format, calibration=calibration)
        tell("comparing with torch")
        parity, checked = subject.check(exported)
        if not parity.passed:
            raise ConfigError(f"{output}: not written, the graphs do not say what torch says ({parity})")
        if checked is not None and checked.fault:
            raise ConfigError(f"{output}: not written, {checked.fault}; export without --int8, or calibrate on more")
        write_description(
            replace(exported, parity={**asdict(parity), "split": None if checked is None else asdict(checked)})
        )
        sizes = {path.name: path.stat().st_size for path in sorted(unfinished.iterdir())}
    return ExportReport(output, subject.header.task, tuple(sizes), sum(sizes.values()), parity, checked)


def _check_free(output: Path) -> None:
    if output.is_dir() and any(output.iterdir()) and not is_exported(output):
        raise ConfigError(f"{output}: holds other files (no {DESCRIPTION}); name a new folder")
    if output.is_dir() and is_exported(output):
        try:
            ours = {DESCRIPTION, *file_names(output)}
        except ModelFileError as exc:
            raise ConfigError(f"{output}: holds another export that is damaged; name a new folder") from exc
        if others := sorted(path.name for path in output.iterdir() if path.name not in ours):
            raise ConfigError(f"{output}: holds {others[0]}, which an export would delete; name a new folder")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: is a file; name a folder")
