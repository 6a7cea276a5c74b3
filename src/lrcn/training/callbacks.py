"""What happens between the steps: validation, the best model, history, checkpoints, progress."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from lrcn import model_file
from lrcn.config import ModelHeader
from lrcn.devices import precise_dtype
from lrcn.files import replacing_table
from lrcn.training.config import TrainingConfig
from lrcn.training.module import TrainingModule, lost_number
from lrcn.training.optimizers import lr_at
from lrcn.training.progress import Bar, Narrator, clock
from lrcn.training.recipe import PreparedData, Recipe
from lrcn.training.run_folder import RunFolder
from lrcn.training.run_state import RunState, load_trainable, save_checkpoint, trainable_state

LOG_EVERY = 50
"""Optimiser steps between entries of a logger such as TensorBoard."""


@dataclass
class Run:
    """A run of training."""

    config: TrainingConfig
    recipe: Recipe
    prepared: PreparedData
    state: RunState
    """Where it stands."""
    saved: dict[str, Any] | None
    """What `load_checkpoint` found."""
    folder: RunFolder
    provenance: dict[str, Any]

    def header(self) -> ModelHeader:
        """Describe the model of the best epoch."""
        best = self.state.history[self.state.best_epoch - 1]
        scores = {name: best[name] for name in self.config.columns_among(best) if name in best}
        return self.recipe.header(
            {**self.provenance, "config": self.config.to_dict(), "best_epoch": self.state.best_epoch, **scores}
        )


class RunKeeper(Callback):
    """Counts steps, ends epochs, and writes down where the run stands.

    An epoch is a number of steps here and Lightning sees one long epoch: what is to be done then follows from the step
    alone, in the first part of a run and after `--resume`.
    """

    def __init__(
        self,
        run: Run,
        *,
        steps_per_epoch: int,
        total_steps: int,
        narrator: Narrator,
        bar: Bar,
        checkpoint_every_s: float,
    ) -> None:
        """Take a run, whose state is kept up to date here; steps are the optimiser's."""
        self.interrupted: int | None = None
        """Number of the signal that asks for it: stop after the running step, in a state that can be resumed."""
        self.take_signals: Callable[[], object] = lambda: None
        """Called once Lightning has put its handlers in place: with several devices its own would wait for ever."""
        self.best: dict[str, Tensor] = run.saved["best"] if run.saved else {}
        """`trainable_state` after the best epoch so far; empty before the first epoch ends."""
        self._run, self._config, self._state = run, run.config, run.state
        self._steps_per_epoch = steps_per_epoch
        self._total_steps = total_steps
        self._validation = run.prepared.validation
        """Scores the model; without it the last epoch counts as the best."""
        self._columns = run.config.columns_among(self._validation.columns if self._validation is not None else ())
        self._narrator = narrator
        self._bar = bar
        self._every_s = checkpoint_every_s
        self._first_step = run.state.step
        self._began = self._epoch_began = self._saved = time.monotonic()
        self._best_is_written = False

    @property
    def finished(self) -> bool:
        """Whether the run is at its end."""
        return self._state.finished

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the first step."""
        self.take_signals()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After an optimiser step: count it, and do what is due."""
        if (batch_idx + 1) % self._config.accumulate:
            return
        assert isinstance(pl_module, TrainingModule)
        state = self._state
        state.step += 1
        self._bar.update(state.step)
        if trainer.loggers and state.step % LOG_EVERY == 0:
            self._log(trainer, {"train_loss_step": float(outputs["loss"]) * self._config.accumulate})
        if state.step % self._steps_per_epoch == 0 or state.step == self._total_steps:
            self._end_epoch(trainer, pl_module)
        # all ranks stop at the same step, whichever was told
        stopped = trainer.strategy.reduce_boolean_decision(self.interrupted is not None, all=False)
        if state.finished or stopped or time.monotonic() - self._saved >= self._every_s:
            self._save(trainer, pl_module)
        if state.finished or stopped:
            trainer.should_stop = True

    def _end_epoch(self, trainer: Trainer, module: TrainingModule) -> None:
        state = self._state
        epoch = -(-state.step // self._steps_per_epoch)
        device = module.device
        columns = self._validation.columns if self._validation is not None else ()
        sums = [*state.sums.values(), float(state.num_batches)]
        if self._validation is not None:
            module.eval()
            with torch.no_grad():
                scores = self._validation(module.model, device)
            module.train()
            sums += [number for name in columns for number in scores[name]]
        total = torch.tensor(sums, dtype=precise_dtype(device), device=device)
        numbers = trainer.strategy.reduce(total, reduce_op="sum").tolist()
        *trained, num_batches = numbers[: len(state.sums) + 1]
        rest = numbers[len(state.sums) + 1 :]
        learnt = {name: value / num_batches for name, value in zip(state.sums, trained, strict=True)}
        state.sums, state.num_batches = {}, 0
        means = {name: rest[2 * i] / rest[2 * i + 1] for i, name in enumerate(columns) if rest[2 * i + 1]}
        if math.isnan(means.get("val_loss", 0.0)):
            raise lost_number("val_loss", means["val_loss"], state.step, self._config, self._total_steps)

        now = time.monotonic()
        row: dict[str, float] = {
            "epoch": epoch,
            "step": state.step,
            "lr": lr_at(state.step - 1, self._config, self._total_steps),
            **learnt,
            **means,
        }
        if self._validation is not None:
            row |= self._validation.derived(means)
        state.history.append(row | {"seconds": round(now - self._epoch_began, 3)})
        self._epoch_began = now
        self._judge(epoch, row, module)
        patience = self._config.patience
        state.finished = state.step == self._total_steps or (patience is not None and state.stale_epochs >= patience)
        self._report(row, trainer)

    def _judge(self, epoch: int, row: dict[str, float], module: TrainingModule) -> None:
        state = self._state
        score, loss = row.get(self._columns[-1], 0.0), row.get("val_loss")
        if loss is not None and (score, -loss) <= (state.best_score, -state.best_loss):
            state.stale_epochs += 1
            return
        state.stale_epochs = 0
        state.best_epoch = epoch
        if loss is not None:
            state.best_score, state.best_loss = score, loss
        self.best = trainable_state(module.model)
        self._best_is_written = False

    def _report(self, row: dict[str, float], trainer: Trainer) -> None:
        state = self._state
        last = -(-self._total_steps // self._steps_per_epoch)
        text = f"epoch {row['epoch']}/{last}: loss {row['train_loss']:.4f}"
        name = self._columns[-1]
        for column in self._columns:
            if column in row and column.startswith("val_") and column not in ("val_loss", name):
                text += f", {column.replace('_', ' ')} {row[column]:.3f}"
        if name in row:
            best = f"best {state.best_score:.4f}, epoch {state.best_epoch}"
            text += f", {self._config.title_of(name)} {row[name]:.4f} ({best})"
        self._bar.update(state.step, text)
        if not self._narrator.live:
            done = state.step - self._first_step
            left_s = (time.monotonic() - self._began) / done * (self._total_steps - state.step)
            self._narrator.note(text if state.finished else f"{text}, {clock(left_s)} left")
        self._log(trainer, {name: value for name, value in row.items() if name not in ("epoch", "step")})
        if trainer.is_global_zero:
            columns = ("epoch", "step", "lr", "train_loss", *self._columns, "seconds")
            write_history(self._run.folder.history, columns, state)

    def _log(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=self._state.step)

    @rank_zero_only
    def _save(self, trainer: Trainer, module: TrainingModule) -> None:
        self._run.folder.check_there()
        # the model first: a checkpoint that says it is written must be right
        if self.best and (self._state.finished or not self._best_is_written):
            weights = {**module.model.state_dict(), **self.best}
            model_file.save(self._run.folder.model, self._completed(self._run.header(), module), weights)
            self._best_is_written = True
        save_checkpoint(
            self._run.folder.checkpoint,
            self._state,
            model=trainable_state(module.model),
            best=self.best,
            optimizer=trainer.optimizers[0],
            precision=trainer.precision_plugin.state_dict(),
        )
        self._saved = time.monotonic()

    def _completed(self, header: ModelHeader, module: TrainingModule) -> ModelHeader:
        """Return a header with what the validation split says of the best model, once there is no better to come."""
        if self._validation is None or not self._state.finished or self._config.num_ranks > 1:
            return header
        last = trainable_state(module.model)
        load_trainable(module.model, self.best)
        module.eval()
        with torch.no_grad():
            header = self._validation.completed(header, module.model, module.device)
        module.train()
        load_trainable(module.model, last)
        return header


def write_history(path: Path, columns: tuple[str, ...], state: RunState) -> None:
    """Write one row an epoch, the whole table anew."""
    with replacing_table(path) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(state.history)
