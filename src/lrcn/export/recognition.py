"""What is particular to the export of recognition models: their check, and int8 on the videos of a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn import model_file
from lrcn.bouts import BACKGROUND
from lrcn.data.captioning.examples import CaptionData
from lrcn.data.recognition.examples import TOGETHER, RecognitionData
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import ConfigError, DataError, LRCNError
from lrcn.export import calibration
from lrcn.graphs.exported import ExportedModel
from lrcn.inference.recognition.graph_runtime import GraphRuntime
from lrcn.inference.recognition.parity import Parity, ParityCheck
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.results import RecognitionResult
from lrcn.tasks import RECOGNITION

LEAST_AGREEMENT = 0.95
"""Share of a split's videos whose top class int8 must leave as it is."""


@dataclass(frozen=True)
class SplitCheck:
    """How a quantised model does on the videos of a split, beside torch in fp32."""

    split: str
    num_videos: int
    top_class_equal: float
    """Share of the videos with the same top class, or the same classes at once, 0-1."""
    accuracy: float
    """Of the exported graphs, 0-1."""
    torch_accuracy: float
    """Of torch in fp32, 0-1."""

    @property
    def fault(self) -> str:
        """Why this must not be written; empty if it may be."""
        if self.top_class_equal >= LEAST_AGREEMENT:
            return ""
        return (
            f"int8 changes the top class of {1 - self.top_class_equal:.1%} of the {self.num_videos} videos of split "
            f"{self.split!r} (limit {1 - LEAST_AGREEMENT:.0%})"
        )

    def __str__(self) -> str:
        return (
            f"{self.split} split, {self.num_videos} videos: accuracy {self.accuracy:.1%} "
            f"(torch {self.torch_accuracy:.1%}), top class equal in {self.top_class_equal:.1%}"
        )


class RecognitionExport:
    """A recognition model on its way into a folder."""

    def __init__(
        self,
        model: str | Path,
        data: str | Path | RecognitionData | CaptionData | None,
        split: str,
        tell: Callable[[str], None],
    ) -> None:
        """Read the model and, to quantise it, the data set.

        Raises:
            DataError: If the data set is of another kind, or of other classes.
            ConfigError: If the model reads ready vectors.
        """
        self.header, self.network = model_file.load(model, task=RECOGNITION)
        if self.network.backbone is None:
            raise ConfigError(f"{model}: reads ready vectors, and has no CNN to export; it is fast as it is")
        self._split, self._tell = split, tell
        self._data: RecognitionData | None = None
        if data is not None:
            if isinstance(data, CaptionData):
                raise DataError(f"{data.name}: holds captions; a recognition model is calibrated on classes of videos")
            self._data = data if isinstance(data, RecognitionData) else read_recognition_data(Path(data))
            self._check_classes(self._data)

    def _check_classes(self, data: RecognitionData) -> None:
        data.split("train")
        known = {*self.header.labels, *((BACKGROUND,) if self.header.model.multi_label else ())}
        unknown = sorted({label for example in data.split(self._split) for label in data.shown(example)} - known)
        if unknown:
            raise DataError(
                f"{data.name}: its class {unknown[0]!r} is none of the model's {len(self.header.labels)}; "
                "calibrate with the data set that the model was trained on"
            )

    def calibration_crops(self) -> list[NDArray[np.uint8]]:
        """Return frames of the training videos as the backbone sees them."""
        assert self._data is not None
        self._tell(f"reading up to {calibration.CALIBRATION_FRAMES} training frames for calibration")
        return calibration.calibration_crops(self._data.split("train"), self.header.preprocess)

    def check(self, exported: ExportedModel) -> tuple[Parity, SplitCheck | None]:
        """Compare the graphs with torch and, where there is data and the first check is passed, on the split."""
        graphs, reference = GraphRuntime(exported), TorchRuntime(self.network, self.header.preprocess)
        parity = ParityCheck(reference, self.header.preprocess).measure(graphs)
        return parity, None if self._data is None or not parity.passed else self._check_split(graphs, self._data)

    def _check_split(self, graphs: GraphRuntime, data: RecognitionData) -> SplitCheck:
        examples, split = data.split(self._split), self._split
        self._tell(f"comparing the answers for {len(examples)} {split} videos")
        ours, torch_fp32 = Recognizer(self.header, graphs), Recognizer(self.header, self.network)
        said: list[tuple[str, str, str]] = []
        for example in examples:
            try:
                said_of_it = [
                    self._answer(
                        recognize(example.path, top_k=1, start_s=example.start_s, end_s=example.end_s, roi=example.roi)
                    )
                    for recognize in (ours, torch_fp32)
                ]
            except LRCNError:
                continue  # it cannot be read; that says nothing about the graphs
            right_answer = TOGETHER.join(sorted(set(data.shown(example)) & set(self.header.labels)))
            said.append((right_answer, said_of_it[0], said_of_it[1]))
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

    def _answer(self, result: RecognitionResult) -> str:
        """Return what a result says, in one word: its class, or all that are more probable than not."""
        if not self.header.model.multi_label:
            return result.label
        return TOGETHER.join(
            sorted(label for label, prob in zip(result.labels, result.probs, strict=True) if prob > 0.5)
        )
