"""From a data set to a model file: `lrcn train recognition`."""

from __future__ import annotations

import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lrcn.config import PreprocessConfig, RecognitionHeader
from lrcn.data.datasets import StepSampler
from lrcn.data.examples import RecognitionData
from lrcn.data.recognition import read_recognition_data
from lrcn.features import default_cache_dir
from lrcn.inference.recognizer import choose_device
from lrcn.models.backbones import default_preprocess
from lrcn.models.recognition import RecognitionModel
from lrcn.training.callbacks import RunKeeper
from lrcn.training.config import RecognitionTrainingConfig
from lrcn.training.data import (
    PreparedData,
    check_labels,
    counts,
    fingerprint,
    make_loader,
    prepare_features,
    prepare_frames,
)
from lrcn.training.initial import InitReport, initial_model
from lrcn.training.modules import RecognitionTask
from lrcn.training.progress import Narrator
from lrcn.training.run_folder import RunFolder
from lrcn.training.run_state import RunState, load_checkpoint, load_trainable
from lrcn.training.trainer import make_trainer, process_rank, quiet_lightning, stop_between_steps

CHECKPOINT_EVERY_S = 30.0
"""How much work a crash may cost."""


@dataclass(frozen=True)
class TrainResult:
    """What a training run left behind."""

    model_path: Path
    """The model of the best epoch."""
    best_epoch: int
    """Counted from 1."""
    val_accuracy: float | None
    """Of the best epoch, on whole videos, in 0-1; None without a validation split."""
    history: tuple[dict[str, float], ...]
    """One row an epoch, as in `history.csv`."""
    skipped: tuple[str, ...] = ()
    """Videos left out because they cannot be read, and why."""
    init: InitReport | None = None
    """What `init_from` brought."""


def train(
    config: RecognitionTrainingConfig,
    data: str | Path | RecognitionData,
    *,
    output: str | Path,
    resume: bool = False,
    device: str = "auto",
    cache_dir: Path | None = None,
    quiet: bool = False,
    command: str | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> TrainResult:
    """Train a recognition model and keep the one of the best epoch.

    `output` then holds `model.safetensors` (best epoch), `last.ckpt` (to go on from), `config.yaml` (all settings, for
    `--config`), `history.csv` and `run.json`. On the CPU, a run that was killed and resumed gives the same weights, bit
    for bit, as one that was not.

    Args:
        config: How to train.
        data: A data set, or the path of one.
        output: Folder of the run; it must not hold another.
        resume: Go on with the run in `output`; start it if there is none yet. A finished one is only reported.
        device: `auto` (the GPU if there is one), or a torch device.
        cache_dir: Where features are kept; None for the user's cache folder. Runs share it.
        quiet: Print nothing but warnings.
        command: Command line for the record; None takes that of this process.
        checkpoint_every_s: Seconds between checkpoints; results do not depend on it.

    Raises:
        ConfigError: If settings contradict each other or the run in `output`, or the loss is no longer a number.
        DataError: If a class has no readable training video.
        LRCNError: If the data set, a backbone, `init_from` or the device cannot be had.
    """
    folder = RunFolder(Path(output))
    is_first = process_rank() == 0  # Lightning starts this program again for every further device
    narrator = Narrator(quiet=quiet or not is_first)
    preprocess = config.preprocess_config(default_preprocess(config.backbone))
    config = config.resolved(preprocess)
    state, saved = RunState(), None
    if not resume and is_first:
        folder.check_new()
    if resume and folder.checkpoint.is_file():
        folder.check_same(config)
        state, saved = load_checkpoint(folder.checkpoint)
        if state.finished:
            narrator.note(f"{folder.path}: this run is finished")
            return _result(folder, state, tuple(folder.read_run()["skipped"]), None)

    target = choose_device(device)
    if not isinstance(data, RecognitionData):
        data = read_recognition_data(data, seed=config.seed)
    for warning in data.warnings:
        narrator.warn(warning)
    check_labels(data, needs_validation=config.patience is not None)
    torch.manual_seed(config.seed)
    model, init = initial_model(config, data.labels)
    model.backbone.check_input(preprocess.crop)
    if init is not None:
        narrator.note(str(init))
    prepared = _prepare(model, data, config, preprocess, cache_dir or default_cache_dir(), target, narrator)

    provenance = _provenance(config, data, prepared, init, command)
    if saved is not None:
        folder.check_same_data(provenance)
        load_trainable(model, saved["model"])
        narrator.note(f"going on from step {state.step}")
    if is_first:
        folder.start(config, provenance)

    run = _Run(config, preprocess, data.labels, model, prepared, state, saved, folder, provenance)
    _fit(run, target, narrator, checkpoint_every_s)
    result = _result(folder, state, prepared.skipped, init)
    if is_first:
        ended = {"finished": _now(), "best_epoch": result.best_epoch, "val_accuracy": result.val_accuracy}
        folder.write_run({**provenance, **ended})
    if prepared.skipped:
        narrator.note(f"{len(prepared.skipped)} videos were left out: {'; '.join(prepared.skipped)}")
    score = "" if result.val_accuracy is None else f", validation accuracy {result.val_accuracy:.4f}"
    narrator.note(f"{folder.model}: epoch {result.best_epoch}{score}")
    return result


@dataclass
class _Run:
    config: RecognitionTrainingConfig
    preprocess: PreprocessConfig
    labels: tuple[str, ...]
    model: RecognitionModel
    prepared: PreparedData
    state: RunState
    saved: dict[str, Any] | None
    """What `load_checkpoint` found."""
    folder: RunFolder
    provenance: dict[str, Any]

    def header(self, state: RunState) -> RecognitionHeader:
        """Describe the model of the best epoch."""
        score = {"val_accuracy": state.best_accuracy, "val_loss": state.best_loss} if state.best_accuracy >= 0 else {}
        return RecognitionHeader(
            model=self.model.config,
            preprocess=self.preprocess,
            labels=self.labels,
            provenance={**self.provenance, "config": self.config.to_dict(), "best_epoch": state.best_epoch, **score},
        )


def _prepare(
    model: RecognitionModel,
    data: RecognitionData,
    config: RecognitionTrainingConfig,
    preprocess: PreprocessConfig,
    cache_dir: Path,
    device: torch.device,
    narrator: Narrator,
) -> PreparedData:
    rank = process_rank()
    if config.backbone_trainable:
        return prepare_frames(data, config, preprocess, narrator=narrator, rank=rank)
    if config.backbone_weights == "none" and config.init_from is None:
        narrator.warn("the frozen backbone has random weights: set backbone_weights, init_from or backbone_trainable")
    model.freeze_backbone()
    return prepare_features(
        model, data, config, preprocess, cache_dir=cache_dir, device=device, narrator=narrator, rank=rank
    )


def _fit(run: _Run, device: torch.device, narrator: Narrator, checkpoint_every_s: float) -> None:
    """Take the steps that are left."""
    config, state, saved = run.config, run.state, run.saved
    sampler = StepSampler(
        len(run.prepared.clips),
        config.batch_size,
        seed=config.seed,
        accumulate=config.accumulate,
        rank=process_rank(),
        num_ranks=config.devices,
    )
    steps_per_epoch = sampler.batches_per_epoch // config.accumulate
    total_steps = config.max_steps or config.epochs * steps_per_epoch
    sampler.first_batch, sampler.num_batches = state.step * config.accumulate, total_steps * config.accumulate
    task = RecognitionTask(
        run.model,
        run.preprocess,
        config,
        state,
        total_steps=total_steps,
        fixed_statistics=config.backbone_weights != "none" or config.init_from is not None,
        optimizer_state=saved["optimizer"] if saved else None,
    )
    with narrator.bar("training", total_steps, unit="steps", lines=False) as bar, quiet_lightning():
        keeper = RunKeeper(
            config,
            state,
            saved["best"] if saved else {},
            steps_per_epoch=steps_per_epoch,
            total_steps=total_steps,
            validation=run.prepared.validation,
            header=run.header,
            folder=run.folder,
            narrator=narrator,
            bar=bar,
            checkpoint_every_s=checkpoint_every_s,
        )
        trainer = make_trainer(config, device, run.folder.path, [keeper])
        if saved:
            trainer.precision_plugin.load_state_dict(saved["precision"])
        with stop_between_steps(keeper, narrator, enabled=config.devices == 1):
            trainer.fit(task, make_loader(run.prepared.clips, sampler, config, device))
    for failure in sorted(task.failures):
        narrator.warn(f"left out of its batches: {failure}")


def _provenance(
    config: RecognitionTrainingConfig,
    data: RecognitionData,
    prepared: PreparedData,
    init: InitReport | None,
    command: str | None,
) -> dict[str, Any]:
    return {
        "command": command or shlex.join(sys.argv),
        "started": _now(),
        "seed": config.seed,
        "data": {"name": data.name, "examples": counts(data), "fingerprint": fingerprint(data)},
        "backbone": {"name": config.backbone, "sha256": prepared.backbone_key},
        "init_from": asdict(init) if init else None,
        "skipped": list(prepared.skipped),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("lrcn", "torch", "torchvision", "lightning", "timm", "av")},
        },
    }


def _result(folder: RunFolder, state: RunState, skipped: tuple[str, ...], init: InitReport | None) -> TrainResult:
    accuracy = state.best_accuracy if state.best_accuracy >= 0 else None
    return TrainResult(folder.model, state.best_epoch, accuracy, tuple(state.history), skipped, init)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
