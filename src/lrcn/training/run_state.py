"""Where a training run stands, in memory and in `last.ckpt`."""

from __future__ import annotations

import os
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lrcn.errors import DataError, Notice
from lrcn.files import replacing

_SCHEMA = 3
"""Version of `last.ckpt`; 3 added up by column what 2 had a field each for."""


@dataclass
class RunState:
    """Everything besides weights and optimiser that decides how a run goes on. Plain values only."""

    step: int = 0
    """Optimiser steps done."""
    sums: dict[str, float] = field(default_factory=dict)
    """Column of the history -> its sum over the batches of the running epoch."""
    num_batches: int = 0
    """Of the running epoch."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row an epoch, as in `history.csv`."""
    best_epoch: int = 0
    """Counted from 1; 0 before the first epoch ends."""
    best_score: float = -1.0
    """In the last of the configuration's `columns_among` in the history; -1 before there is one."""
    best_loss: float = float("inf")
    stale_epochs: int = 0
    """Since the best one."""
    finished: bool = False

    def add(self, column: str, value: float) -> None:
        """Add a batch's value to a column, whose mean the history shows at the end of the epoch."""
        self.sums[column] = self.sums.get(column, 0.0) + value


def trainable_state(model: nn.Module) -> dict[str, Tensor]:
    """Return copies, on the CPU, of the weights and statistics that training changes: without a frozen backbone."""
    frozen = getattr(model.backbone, "frozen", False)  # there may be no backbone
    return {
        name: value.detach().to("cpu", copy=True)
        for name, value in model.state_dict().items()
        if not (frozen and name.startswith("backbone."))
    }


def load_trainable(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what `trainable_state` returned."""
    model.load_state_dict({**model.state_dict(), **state})


def save_checkpoint(
    path: Path,
    state: RunState,
    *,
    model: Mapping[str, Tensor],
    best: Mapping[str, Tensor],
    optimizer: Optimizer,
    precision: Mapping[str, Any],
) -> None:
    """Write `last.ckpt`: on the disk before it replaces the one before, which is kept beside it as `before_last`.

    Args:
        path: The file.
        state: Where the run stands.
        model: `trainable_state` now.
        best: `trainable_state` after the best epoch.
        optimizer: Its state is kept.
        precision: State of Lightning's precision plugin (the loss scale of 16-bit training).
    """
    content = {
        "schema": _SCHEMA,
        "state": asdict(state),
        "model": dict(model),
        "best": dict(best),
        "optimizer": optimizer.state_dict(),
        "precision": dict(precision),
    }
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
        _keep_beside(path, finished=state.finished)


def _keep_beside(path: Path, *, finished: bool) -> None:
    """Keep what is at `path` under the name that `before_last` says, or nothing of a finished run."""
    kept = before_last(path)
    kept.unlink(missing_ok=True)
    if finished or not path.is_file():
        return
    try:
        kept.hardlink_to(path)
    except OSError:  # a file system without links
        shutil.copyfile(path, kept)


def before_last(path: Path) -> Path:
    """Return where the checkpoint before this one is kept, to go on from should this one be damaged."""
    return path.with_name(f"{path.stem}-but-one{path.suffix}")


def load_checkpoint(path: Path) -> tuple[RunState, dict[str, Any]]:
    """Return the run's state, and the rest of what `save_checkpoint` wrote: tensors and plain values, no pickled code.

    Of a damaged file, the one before it is taken, with a `Notice`.

    Raises:
        DataError: If both are damaged, or it is of another version.
    """
    try:
        return _load(path)
    except _Damaged as exc:
        with suppress(_Damaged):
            older = _load(before_last(path))
            warnings.warn(f"{path}: damaged; the run goes on from the checkpoint before", Notice, stacklevel=2)
            return older
        raise DataError(f"{path}: damaged; delete it and use --resume to start this run over") from exc


class _Damaged(Exception):
    pass


def _load(path: Path) -> tuple[RunState, dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if (member := archive.testzip()) is not None:  # torch does not look at the checksums
                raise _Damaged(member)
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = content.pop("state")
        if content["schema"] == 2:
            state = _from_schema_2(state)
        elif content["schema"] != _SCHEMA:
            raise DataError(f"{path}: written by another version of lrcn; train anew in another folder")
        return RunState(**state), content
    except DataError:
        raise
    except Exception as exc:  # zipfile, pickle and torch raise whatever they trip over
        raise _Damaged(str(exc)) from exc


def _from_schema_2(state: dict[str, Any]) -> dict[str, Any]:
    sums = {"train_loss": state.pop("loss_sum"), "train_cider_d": state.pop("reward_sum")}
    if not sums["train_cider_d"]:
        del sums["train_cider_d"]  # which only self-critical training has
    num_batches = state.pop("num_losses")
    return {**state, "sums": sums, "num_batches": num_batches}
