"""What is particular to the export of captioning models: their check, and int8 on the captions of a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lrcn import model_file
from lrcn.data.captioning.examples import CaptionData, CaptionExample
from lrcn.data.captioning.readers import read_caption_data
from lrcn.data.recognition.examples import RecognitionData
from lrcn.errors import ConfigError, DataError
from lrcn.export import calibration
from lrcn.features import TorchEncoder
from lrcn.graphs.exported import ExportedModel
from lrcn.graphs.sessions import GraphEncoder
from lrcn.inference.captioning.graph_runtime import GraphCaptionDecoder
from lrcn.inference.captioning.parity import CaptionParity, CaptionParityCheck
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.reading import Excerpt
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.inference.parity import FeatureCheck
from lrcn.metrics.captioning import score_captions
from lrcn.tasks import CAPTIONING
from lrcn.text import tokenise

LEAST_SHARE_OF_CIDER_D = 0.95
"""Of torch's, which int8 must keep on a split."""


@dataclass(frozen=True)
class CaptionSplitCheck:
    """How a quantised model does on the pictures or videos of a split, beside torch in fp32; by beam search."""

    split: str
    num_examples: int
    captions_equal: float
    """Share of the examples with the same caption, 0-1."""
    cider_d: float
    """Of the exported graphs."""
    torch_cider_d: float
    """Of torch in fp32."""

    @property
    def fault(self) -> str:
        """Why this must not be written; empty if it may be."""
        if self.cider_d >= LEAST_SHARE_OF_CIDER_D * self.torch_cider_d:
            return ""
        return (
            f"int8 lowers the CIDEr-D of split {self.split!r} from {self.torch_cider_d:.3f} to {self.cider_d:.3f} "
            f"({self.num_examples} examples; limit {1 - LEAST_SHARE_OF_CIDER_D:.0%})"
        )

    def __str__(self) -> str:
        return (
            f"{self.split} split, {self.num_examples} examples: CIDEr-D {self.cider_d:.3f} "
            f"(torch {self.torch_cider_d:.3f}), captions equal in {self.captions_equal:.1%}"
        )


class CaptioningExport:
    """A captioning model on its way into a folder."""

    def __init__(
        self,
        model: str | Path,
        data: str | Path | CaptionData | RecognitionData | None,
        split: str,
        tell: Callable[[str], None],
    ) -> None:
        """Read the model and, to quantise it, the data set.

        Raises:
            DataError: If the data set is of another kind, or lacks a split.
            ConfigError: If there is nothing to quantise.
        """
        self.header, self.network = model_file.load(model, task=CAPTIONING)
        self._split, self._tell = split, tell
        self._data: CaptionData | None = None
        if data is not None:
            if isinstance(data, RecognitionData):
                raise DataError(f"{data.name}: holds classes; a captioning model is calibrated on captions")
            if self.header.preprocess is None:
                raise ConfigError(
                    "int8 is for the CNN, and a model that reads ready vectors has none: leave --int8 out"
                )
            self._data = data if isinstance(data, CaptionData) else read_caption_data(Path(data))
            for needed in ("train", split):
                self._data.split(needed)

    def calibration_crops(self) -> list[NDArray[np.uint8]]:
        """Return frames of the training pictures and videos as the backbone sees them."""
        assert self._data is not None
        assert self.header.preprocess is not None
        self._tell(f"reading up to {calibration.CALIBRATION_FRAMES} training frames for calibration")
        return calibration.calibration_crops(self._data.split("train"), self.header.preprocess)

    def check(self, exported: ExportedModel) -> tuple[CaptionParity, CaptionSplitCheck | None]:
        """Compare the graphs with torch and, where there is data and the first check is passed, on the split."""
        decoder = GraphCaptionDecoder(exported)
        encoder, features = None, None
        if self.network.backbone is not None and self.header.preprocess is not None:
            encoder = GraphEncoder(exported)
            reference = TorchEncoder(self.network.backbone, self.header.preprocess)
            features = FeatureCheck(reference, self.header.preprocess)
        parity = CaptionParityCheck(self.network, features).measure(encoder, decoder)
        if self._data is None or not parity.passed:
            return parity, None
        graphs = Captioner(self.header, decoder, runtime=encoder)
        return parity, self._check_split(graphs, self._data.split(self._split))

    def _check_split(self, graphs: Captioner, examples: tuple[CaptionExample, ...]) -> CaptionSplitCheck:
        self._tell(f"comparing the captions of {len(examples)} {self._split} examples")
        found, expected = (_captions(one, examples) for one in (graphs, Captioner(self.header, self.network)))
        if not found:
            raise DataError(f"none of the {len(examples)} files of split {self._split!r} can be read")
        references = [[" ".join(tokenise(text)) for text in examples[place].captions] for place in found]
        scores = [
            score_captions([" ".join(tokenise(text)) for text in said.values()], references, metrics=("cider_d",))
            for said in (found, expected)
        ]
        cider_d, torch_cider_d = (one.scores["cider_d"].corpus for one in scores)
        return CaptionSplitCheck(
            split=self._split,
            num_examples=len(found),
            captions_equal=float(np.mean([found[place] == expected[place] for place in found])),
            cider_d=cider_d,
            torch_cider_d=torch_cider_d,
        )


def _captions(captioner: Captioner, examples: tuple[CaptionExample, ...]) -> dict[int, str]:
    """Return the caption of each example that can be read, by its place."""
    parts = [Excerpt(example.path, example.start_s, example.end_s) for example in examples]
    features: dict[int, Tensor] = dict(captioner.read_features(parts, on_failure=lambda source, exc: None))
    if not features:
        return {}
    found = captioner.caption_contexts(captioner.contexts(list(features.values())), CaptionSearch())
    return {place: best[0].text for place, best in zip(features, found, strict=True)}
