"""What becomes a graph: a module with inputs to trace it by, and the one that models of every task have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrcn.config import PreprocessConfig
from lrcn.graphs.state import batch_axis
from lrcn.video.transforms import Preprocess


@dataclass(frozen=True)
class GraphSource:
    """One graph to be; `lrcn.graphs.exported` says what each is."""

    name: str
    module: nn.Module
    inputs: dict[str, Any]
    """Arguments of `forward`, two of each in a batch, because the exporter freezes a size of 1; `state` is a dictionary
    whose entries become inputs of their own."""
    outputs: list[str]

    def state_shapes(self) -> dict[str, list[int]]:
        """Return the shapes of the state's entries, -1 for the batch."""
        parts: dict[str, Tensor] = self.inputs.get("state", {})
        return {
            name: [-1 if axis == batch_axis(name) else size for axis, size in enumerate(part.shape)]
            for name, part in parts.items()
        }


def backbone_source(backbone: nn.Module, preprocess: PreprocessConfig) -> GraphSource:
    """Return the graph `backbone`, which every model with a CNN has."""
    frames = torch.zeros(2, preprocess.crop, preprocess.crop, 3, dtype=torch.uint8)
    module = _Backbone(backbone, Preprocess(preprocess)).eval()
    return GraphSource("backbone", module, {"frames": frames}, ["features"])


class _Backbone(nn.Module):
    """Cropped frames `(N, crop, crop, 3)` uint8 -> features: normalisation is part of the graph."""

    def __init__(self, backbone: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.backbone, self.preprocess = backbone, preprocess

    def forward(self, frames: Tensor) -> Tensor:
        features: Tensor = self.backbone(self.preprocess.normalize(frames.permute(0, 3, 1, 2).float()))
        return features
