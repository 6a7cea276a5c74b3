"""What scores a model on the validation split while it is trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch

from lrcn.config import ModelHeader

Sums = Mapping[str, tuple[float, float]]
"""Column of `history.csv` -> a sum and the number of its terms: processes add up theirs, then the mean is taken."""


def added(first: Sums, second: Sums) -> Sums:
    """Return the sums of two parts of the split together."""
    return {name: (first[name][0] + second[name][0], first[name][1] + second[name][1]) for name in first}


class Validation(ABC):
    """Scores a model on the validation split."""

    columns: tuple[str, ...]
    """What comes out, always; `val_loss` is among them."""

    @abstractmethod
    def __call__(self, model: Any, device: torch.device) -> Sums:
        """Return the score of a model that is in evaluation mode on `device`."""

    def completed(self, header: ModelHeader, model: Any, device: torch.device) -> ModelHeader:
        """Return a header with what the split says, besides scores, of the model that is kept; in evaluation mode.

        Called once, at the end of a training on one device.
        """
        return header

    def derived(self, means: Mapping[str, float]) -> dict[str, float]:
        """Return further columns of the history, from the means of `columns` over all processes."""
        return {}
