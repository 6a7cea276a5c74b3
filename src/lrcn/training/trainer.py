"""Lightning's trainer, set up for our runs: silent, and stopped by signals between two steps only."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from lrcn.errors import ConfigError, LRCNError, MissingExtraError
from lrcn.training.callbacks import RunKeeper
from lrcn.training.config import TrainingConfig
from lrcn.training.progress import Narrator


def process_rank() -> int:
    """Return the number of this process among those that Lightning started for several devices; 0 is the first."""
    return int(getattr(rank_zero_only, "rank", 0))


def check_launched(config: TrainingConfig) -> None:
    """Make sure that as many processes run as the settings say, where something else than Lightning starts them.

    Else each would be a training of its own, and all would write into one folder.

    Raises:
        ConfigError: If not.
    """
    launchers = (
        ("torchrun", TorchElasticEnvironment, "WORLD_SIZE"),
        ("SLURM", SLURMEnvironment, "SLURM_NTASKS"),
    )
    for launcher, environment, variable in launchers:
        if environment.detect():
            if (started := int(os.environ[variable])) != config.num_ranks:
                raise ConfigError(
                    f"{launcher} started {started} processes, and devices {config.devices} on num_nodes "
                    f"{config.num_nodes} are {config.num_ranks}: set both to what was started"
                )
            return
    if config.num_nodes > 1:
        raise ConfigError(
            f"num_nodes {config.num_nodes}: start this command on every machine with torchrun, or with SLURM's srun"
        )


@contextmanager
def one_line_where_a_rank_dies(config: TrainingConfig) -> Iterator[None]:
    """Say what to do where another process of the training is gone: its peers only see a connection that is closed.

    Raises:
        LRCNError: In place of the error of torch.distributed.
    """
    try:
        yield
    except RuntimeError as exc:
        reason = str(exc).strip().splitlines()[-1:] or [type(exc).__name__]
        if config.num_ranks > 1 and any(word in str(exc) for word in ("gloo", "NCCL", "ncclRemoteError")):
            raise LRCNError(
                f"another process of this training has ended ({reason[0][:100]}); --resume goes on from the last "
                "checkpoint"
            ) from exc
        raise


def make_trainer(config: TrainingConfig, device: torch.device, folder: Path, callbacks: list[Callback]) -> Trainer:
    """Return the trainer of a run; it trains for one epoch, which is the whole run.

    Raises:
        ConfigError: If there are not as many devices.
        MissingExtraError: If the logger is not installed.
    """
    devices = [device.index] if device.index is not None and config.num_ranks == 1 else config.devices
    try:
        return Trainer(
            accelerator=device.type,
            devices=devices,
            num_nodes=config.num_nodes,
            strategy=config.strategy,
            precision=config.precision,
            max_epochs=1,
            accumulate_grad_batches=config.accumulate,
            gradient_clip_val=config.clip_norm,
            logger=_loggers(config.logger, folder),
            callbacks=callbacks,
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as exc:  # the last two of what SLURM says of the job
        reason = " ".join(str(exc).split())
        raise ConfigError(f"devices {config.devices} of {device.type} cannot be used: {reason}") from exc


def _loggers(name: str, folder: Path) -> list[Logger]:
    """Return Lightning's logger of that name, or none for `none`.

    Raises:
        MissingExtraError: If its package is not installed.
    """
    if name == "none":
        return []
    if find_spec(name) is None:
        raise MissingExtraError(f"logger {name!r} needs: pip install {name}")
    if name == "tensorboard":
        return [TensorBoardLogger(save_dir=folder, name="", version="tensorboard")]
    return [WandbLogger(project="lrcn", name=folder.name, save_dir=folder)]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's remarks to itself: what users should know, we say."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning|torch")
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, what schedulers send before they kill, and what a terminal sends that is closed."""


@contextmanager
def stop_between_steps(keeper: RunKeeper, narrator: Narrator) -> Iterator[None]:
    """Let the signals that end a program wait for the running step, so that nothing is lost; a second Ctrl-C does not.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
        SystemExit: After another signal, with the code by which shells report it.
    """

    def stop(signum: int, frame: object) -> None:
        if keeper.interrupted == signum == signal.SIGINT:
            raise KeyboardInterrupt
        keeper.interrupted = signum
        narrator.note("stopping after this step")

    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _STOPPING} if in_main else {}

    def take_signals() -> None:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, stop)

    keeper.take_signals = take_signals
    take_signals()
    try:
        yield
    except SystemExit:  # Lightning's, after Ctrl-C
        if keeper.interrupted != signal.SIGINT:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if keeper.interrupted and not keeper.finished:
        narrator.note("stopped; --resume goes on from here")
        if keeper.interrupted == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + keeper.interrupted)
