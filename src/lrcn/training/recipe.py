"""What a task brings to a training run; `fit.py` does the rest alike for all tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.data import Dataset

from lrcn.config import ModelHeader
from lrcn.data.captioning.examples import CaptionData
from lrcn.data.recognition.examples import RecognitionData
from lrcn.models.network import Network
from lrcn.training.initial import InitReport
from lrcn.training.module import RunPlan, TrainingModule
from lrcn.training.progress import Narrator
from lrcn.training.run_state import RunState
from lrcn.training.validation import Validation


@dataclass(frozen=True)
class PreparedData:
    """What a run trains on and is scored on."""

    items: Dataset[Any]
    """One for each step of an epoch's order, by `ClipKey`."""
    num_items: int
    collate: Callable[[list[Any]], Any]
    """Items to a batch."""
    validation: Validation | None
    skipped: tuple[str, ...]
    """Why examples were left out, one line each."""
    backbone_key: str = ""
    """`features_key` of a frozen backbone, or the hash of a file of ready vectors."""
    runtime: str | None = None
    """What computed the features of a frozen backbone."""


class Recipe(ABC):
    """How one task is trained on one data set."""

    model: Network
    """Set by `build`."""
    init: InitReport | None
    """What `init_from` brought; set by `build`."""

    @abstractmethod
    def build(self) -> None:
        """Make the network before the first step; what is random comes from torch's global generator."""

    @abstractmethod
    def prepare(self, *, cache_dir: Path | None, device: torch.device, narrator: Narrator, rank: int) -> PreparedData:
        """Make features or look at the heads of files, and leave out what cannot be read."""

    @abstractmethod
    def module(self, state: RunState, plan: RunPlan) -> TrainingModule:
        """Return what Lightning trains."""

    @abstractmethod
    def header(self, provenance: dict[str, Any]) -> ModelHeader:
        """Describe the model for its file."""

    @abstractmethod
    def all_data(self) -> RecognitionData | CaptionData | None:
        """Return the data set with its validation examples as training examples; None where there are none."""

    @abstractmethod
    def describe_data(self) -> dict[str, Any]:
        """Return the data set's name, the number of examples in each split, and a fingerprint."""


D = TypeVar("D", RecognitionData, CaptionData)


def with_all_in_training(data: D) -> D | None:
    """Return a data set with its validation examples as training examples; None where there are none."""
    if all(example.split != "val" for example in data.examples):
        return None
    examples = [replace(example, split="train") if example.split == "val" else example for example in data.examples]
    return replace(data, examples=tuple(examples), warnings=())  # they were told already
