"""A recognition model as a folder of graphs that runs without torch, checked before it appears: `lrcn export`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn import model_file
from lrcn.config import PreprocessConfig, RecognitionHeader
from lrcn.data.examples import RecognitionData, RecognitionExample
from lrcn.data.recognition import read_recognition_data
from lrcn.errors import ConfigError, DataError, LRCNError, MediaError
from lrcn.files import replacing_folder
from lrcn.inference.recognizer import Recognizer
from lrcn.inference.runtimes.convert import write_graphs
from lrcn.inference.runtimes.exported import DESCRIPTION, Format, is_exported, write_description
from lrcn.inference.runtimes.graph import GraphRuntime
from lrcn.inference.runtimes.parity import Parity, ParityCheck
from lrcn.inference.runtimes.torch_runtime import TorchRuntime
from lrcn.models.recognition import RecognitionModel
from lrcn.video.inputs import network_images
from lrcn.video.views import CENTER_VIEW, cut_crops

CALIBRATION_FRAMES = 300
"""Frames whose activations set the ranges of int8 (NNCF's own default)."""

LEAST_AGREEMENT = 0.95
"""Share of a split's videos whose top class int8 must leave as it is."""


@dataclass(frozen=True)
class SplitCheck:
    """How a quantised model does on the videos of a split, beside torch in fp32."""

    split: str
    num_videos: int
    top_class_equal: float
    """Share of the videos with the same top class, 0-1."""
    accuracy: float
    """Of the exported graphs, 0-1."""
    torch_accuracy: float
    """Of torch in fp32, 0-1."""


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how far its answers are from torch's."""

    folder: Path
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
    calibrate: str | Path | RecognitionData | None = None,
    split: str = "test",
    on_progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Write the graphs `backbone`, `clip` and `step` of a recognition model into a folder.

    The graphs are run beside torch on random and real frames at three batch sizes; where an error is past its limit the
    folder is not written. An earlier export in the folder is replaced.

    Args:
        model: What `lrcn.load` takes, but for exported folders.
        output: The folder; if it is there, it must be empty or hold an earlier export.
        format: `onnx` or `openvino`.
        calibrate: A data set: quantise the backbone to int8, with the ranges seen on its training videos.
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
    header, network = model_file.load(model)
    data: RecognitionData | None = None
    calibration: list[NDArray[np.uint8]] | None = None
    if calibrate is not None:
        data = calibrate if isinstance(calibrate, RecognitionData) else read_recognition_data(Path(calibrate))
        _check_kind(data, header, split)
        tell(f"reading up to {CALIBRATION_FRAMES} training frames for calibration")
        calibration = calibration_crops(data, header.preprocess)
    with replacing_folder(output) as unfinished:
        tell("making the graphs")
        exported = write_graphs(header, network, unfinished, format, calibration=calibration)
        tell("comparing with torch")
        graphs, reference = GraphRuntime(exported), TorchRuntime(network, header.preprocess)
        parity = ParityCheck(reference, header.preprocess).measure(graphs)
        if not parity.passed:
            raise ConfigError(f"{output}: not written, the graphs do not say what torch says ({parity})")
        checked = None if data is None else _check_split(header, network, graphs, data.split(split), split, tell)
        if checked is not None and checked.top_class_equal < LEAST_AGREEMENT:
            raise ConfigError(
                f"{output}: not written, int8 changes the top class of {1 - checked.top_class_equal:.1%} of the "
                f"{checked.num_videos} videos of split {split!r} (limit {1 - LEAST_AGREEMENT:.0%}); "
                "export without --int8, or calibrate on more clips"
            )
        write_description(
            replace(exported, parity={**asdict(parity), "split": None if checked is None else asdict(checked)})
        )
        sizes = {path.name: path.stat().st_size for path in sorted(unfinished.iterdir())}
    return ExportReport(output, tuple(sizes), sum(sizes.values()), parity, checked)


def calibration_crops(data: RecognitionData, preprocess: PreprocessConfig) -> list[NDArray[np.uint8]]:
    """Return crops of frames spread evenly over the training videos, `CALIBRATION_FRAMES` at most.

    Raises:
        DataError: If none of the videos can be read.
    """
    examples = data.split("train")
    chosen = [examples[i] for i in np.linspace(0, len(examples) - 1, min(len(examples), CALIBRATION_FRAMES), dtype=int)]
    per_video = max(1, CALIBRATION_FRAMES // len(chosen))
    crops, failure = [], ""
    for example in chosen:
        try:
            crops.append(_some_crops(example, preprocess, per_video))
        except MediaError as exc:
            failure = str(exc)
    if not crops:
        raise DataError(f"{data.name}: no training video can be read for calibration: {failure}")
    return crops


def _some_crops(example: RecognitionExample, preprocess: PreprocessConfig, number: int) -> NDArray[np.uint8]:
    images = np.concatenate(
        [
            images
            for images, _ in network_images(
                example.path, preprocess, start_s=example.start_s, end_s=example.end_s, on_warning=lambda message: None
            )
        ]
    )
    picked = images[np.unique(np.linspace(0, len(images) - 1, number, dtype=int))]
    return cut_crops(picked, CENTER_VIEW, preprocess)


def _check_free(output: Path) -> None:
    if output.is_dir() and any(output.iterdir()) and not is_exported(output):
        raise ConfigError(f"{output}: holds other files (no {DESCRIPTION}); name a new folder")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: is a file; name a folder")


def _check_kind(data: RecognitionData, header: RecognitionHeader, split: str) -> None:
    data.split("train")
    unknown = sorted({example.label for example in data.split(split)} - set(header.labels))
    if unknown:
        raise DataError(
            f"{data.name}: its class {unknown[0]!r} is none of the model's {len(header.labels)}; "
            "calibrate with the data set that the model was trained on"
        )


def _check_split(
    header: RecognitionHeader,
    network: RecognitionModel,
    graphs: GraphRuntime,
    examples: Sequence[RecognitionExample],
    split: str,
    tell: Callable[[str], None],
) -> SplitCheck:
    ours, torch_fp32 = Recognizer(header, graphs), Recognizer(header, network)
    said: list[tuple[str, str, str]] = []
    tell(f"comparing the answers for {len(examples)} {split} videos")
    for example in examples:
        try:
            labels = [
                recognize(example.path, top_k=1, start_s=example.start_s, end_s=example.end_s).label
                for recognize in (ours, torch_fp32)
            ]
        except LRCNError:
            continue  # it cannot be read; that says nothing about the graphs
        said.append((example.label, labels[0], labels[1]))
    if not said:
        raise DataError(f"none of the {len(examples)} videos of split {split!r} can be read")
    right, found, expected = (np.array(column) for column in zip(*said, strict=True))
    return SplitCheck(
        split=split,
        num_videos=len(said),
        top_class_equal=float((found == expected).mean()),
        accuracy=float((found == right).mean()),
        torch_accuracy=float((expected == right).mean()),
    )
