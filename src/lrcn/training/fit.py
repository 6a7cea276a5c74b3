"""From a data set to a model file: `lrcn train`."""

from __future__ import annotations

import math
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from lrcn import model_file
from lrcn.data.batches import StepSampler
from lrcn.data.captioning.examples import CaptionData
from lrcn.data.recognition.examples import RecognitionData
from lrcn.devices import choose_device
from lrcn.errors import ConfigError
from lrcn.models.backbones import default_preprocess
from lrcn.tasks import TASKS
from lrcn.training.callbacks import Run, RunKeeper
from lrcn.training.config import TrainingConfig
from lrcn.training.initial import InitReport
from lrcn.training.module import RunPlan
from lrcn.training.progress import Narrator
from lrcn.training.recipe import PreparedData, Recipe
from lrcn.training.run_folder import RunFolder
from lrcn.training.run_state import RunState, load_checkpoint, load_trainable
from lrcn.training.trainer import (
    check_launched,
    make_trainer,
    one_line_where_a_rank_dies,
    process_rank,
    quiet_lightning,
    stop_between_steps,
)

REFIT = "refit"
"""The folder, in that of a run, of its second training on all examples."""

_REFITTED = "refitted_on"
"""Entry of the provenance: the number of examples of the second training."""

CHECKPOINT_EVERY_S = 30.0
"""How much work a crash may cost."""


@dataclass(frozen=True)
class TrainResult:
    """What a training run left behind."""

    model_path: Path
    """The model of the best epoch; with `refit`, that of the second training."""
    best_epoch: int
    """Counted from 1."""
    val_score: float | None
    """Of the best epoch, in the last of the configuration's `columns_among`; None without a validation split, and for
    a language model."""
    history: tuple[dict[str, float], ...]
    """One row an epoch, as in `history.csv`."""
    skipped: tuple[str, ...] = ()
    """Examples left out because they cannot be read, and why."""
    init: InitReport | None = None
    """What `init_from` brought."""


def train(
    config: TrainingConfig,
    data: str | Path | RecognitionData | CaptionData,
    *,
    output: str | Path,
    resume: bool = False,
    device: str = "auto",
    cache_dir: Path | None = None,
    quiet: bool = False,
    command: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> TrainResult:
    """Train a model and keep the one of the best epoch; the type of the configuration says for which task.

    With `refit` the scored model is not the one that is kept: another is trained, in the folder `refit`, on training
    and validation examples together. `output` then holds `model.safetensors`, `last.ckpt` (to go on from),
    `config.yaml` (all settings, for `--config`), `history.csv` and `run.json`. On the CPU, a run that was killed and
    resumed gives the same weights, bit for bit, as one that was not.

    Examples:
        >>> import tempfile
        >>> from importlib.resources import files
        >>> from lrcn import RecognitionExample, RecognitionTrainingConfig
        >>> clip = files("lrcn") / "assets" / "walking.mp4"
        >>> halves = {"first half": (0.0, 1.0), "second half": (1.0, None)}
        >>> examples = tuple(RecognitionExample(clip, label, "train", *times) for label, times in halves.items())
        >>> with tempfile.TemporaryDirectory() as name:
        ...     result = train(
        ...         RecognitionTrainingConfig(epochs=2, views=1, runtime="torch"),
        ...         RecognitionData(tuple(halves), examples, "one clip"),
        ...         output=Path(name) / "run",
        ...         cache_dir=Path(name) / "cache",
        ...         device="cpu",
        ...         quiet=True,
        ...     )
        >>> result.best_epoch
        2

    Args:
        config: How to train.
        data: A data set, or the path of one.
        output: Folder of the run; it must not hold another.
        resume: Go on with the run in `output`; start it if there is none yet. A finished one is only reported.
        device: `auto` (the GPU if there is one), or a torch device.
        cache_dir: Features are kept in its folder `features`, which runs share; None for `lrcn` in the user's cache
            folder.
        quiet: Print nothing but warnings.
        command: Command line for the record; None takes that of this process.
        provenance: What else `run.json` and the model file say about where the model comes from.
        checkpoint_every_s: Seconds between checkpoints; results do not depend on it.

    Raises:
        ConfigError: If settings contradict each other or the run in `output`, or the loss is no longer a number.
        DataError: If a class has no readable training video.
        LRCNError: If the data set, a backbone, `init_from` or the device cannot be had.
    """
    run = _Call(Path(output), resume, device, cache_dir, quiet, command, provenance or {}, checkpoint_every_s)
    scored, recipe = _train(config, data, run)
    if not config.refit or config.num_ranks > 1 or _is_refitted(scored):
        return scored
    preprocess = config.preprocess_config(default_preprocess(config.backbone))
    recipe = recipe or TASKS[config.task].recipe()(config.resolved(preprocess), preprocess, data, Narrator(quiet=True))
    together = recipe.all_data()
    if together is None:
        return scored
    number = len(together.split("train"))
    Narrator(quiet=quiet).note(f"training again on {number} examples, those of validation included")
    _check_same_data(run.output, recipe)
    again, _ = _train(
        replace(config, refit=False, patience=None), together, replace(run, output=run.output / REFIT, resume=True)
    )
    header, model = model_file.load(again.model_path, task=TASKS[config.task])
    of_scored = model_file.inspect(scored.model_path)
    kept = {
        name: of_scored.provenance[name]
        for name in ("data", "config", *config.columns_among(of_scored.provenance))
        if name in of_scored.provenance
    }
    provenance = {**header.provenance, **kept, _REFITTED: number}
    # what else the first header says of its model, as its calibration, was found on clips that the second has seen
    model_file.save(scored.model_path, replace(of_scored, provenance=provenance), model.state_dict())
    return scored


def _is_refitted(result: TrainResult) -> bool:
    """Whether the model is of the second training already, or was moved away since."""
    return not result.model_path.is_file() or _REFITTED in model_file.inspect(result.model_path).provenance


def _check_same_data(output: Path, recipe: Recipe) -> None:
    """Make sure that the scored run, which may have ended in another process, had these examples.

    Raises:
        ConfigError: If not.
    """
    if RunFolder(output).read_run()["data"]["fingerprint"] != recipe.describe_data()["fingerprint"]:
        raise ConfigError(f"{output} was started with another data; train in another --output")


@dataclass(frozen=True)
class _Call:
    """Arguments of `train` besides what is trained on what."""

    output: Path
    resume: bool
    device: str
    cache_dir: Path | None
    quiet: bool
    command: str | None
    provenance: Mapping[str, Any]
    checkpoint_every_s: float


def _train(config: TrainingConfig, data: Any, call: _Call) -> tuple[TrainResult, Recipe | None]:
    """Train once; without a recipe where the run was finished before."""
    check_launched(config)
    output, resume, quiet, command = call.output, call.resume, call.quiet, call.command
    folder = RunFolder(output)
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
            if is_first:
                folder.tidy()  # it may have been killed right at its end
            return _result(config, folder, state, tuple(folder.read_run()["skipped"]), None), None
    elif resume and not (folder.search.is_dir() or folder.path.name == REFIT):
        # a search trains at last where it has begun, and a second training may have been stopped before
        narrator.note(f"{folder.path}: nothing to go on with yet; the run begins, with the settings given now")

    target = choose_device(call.device)
    recipe: Recipe = TASKS[config.task].recipe()(config, preprocess, data, narrator)
    torch.manual_seed(config.seed)
    recipe.build()
    model = recipe.model
    if model.backbone is not None:
        model.backbone.check_input(preprocess.crop)
        if not config.backbone_trainable:
            if config.backbone_weights == "none" and config.init_from is None:
                narrator.warn(
                    "the frozen backbone has random weights: set backbone_weights, init_from or backbone_trainable"
                )
            model.freeze_backbone()
    if recipe.init is not None:
        narrator.note(str(recipe.init))
    prepared = recipe.prepare(cache_dir=call.cache_dir, device=target, narrator=narrator, rank=process_rank())

    if config.runtime != "torch" and prepared.runtime is not None:
        narrator.note(f"features computed by {prepared.runtime}")

    record = {**_provenance(config, recipe, prepared, command), **call.provenance}
    if saved is not None:
        folder.check_same_data(record)
        load_trainable(model, saved["model"])
        narrator.note(f"going on from step {state.step}")
    if is_first:
        folder.start(config, record)

    run = Run(config, recipe, prepared, state, saved, folder, record)
    _fit(run, target, narrator, call.checkpoint_every_s)
    result = _result(config, folder, state, prepared.skipped, recipe.init)
    score = _score_column(config, state)
    if is_first:
        ended = {"finished": _now(), "best_epoch": result.best_epoch, score: result.val_score}
        folder.write_run({**record, **ended})
    if prepared.skipped:
        narrator.note(f"left out: {'; '.join(prepared.skipped)}")
    named = config.title_of(score).replace("val", "validation", 1)
    text = "" if result.val_score is None else f", {named} {result.val_score:.4f}"
    narrator.note(f"{folder.model}: epoch {result.best_epoch}{text}")
    return result, recipe


def _fit(run: Run, device: torch.device, narrator: Narrator, checkpoint_every_s: float) -> None:
    """Take the steps that are left."""
    config, state, saved = run.config, run.state, run.saved
    sampler = StepSampler(
        run.prepared.num_items,
        config.batch_size,
        seed=config.seed,
        accumulate=config.accumulate,
        rank=process_rank(),
        num_ranks=config.num_ranks,
    )
    steps_per_pass = sampler.batches_per_epoch // config.accumulate
    steps_per_epoch = steps_per_pass * math.ceil(config.epoch_steps / steps_per_pass)
    total_steps = config.max_steps or config.epochs * steps_per_epoch
    if not any(parameter.requires_grad for parameter in run.recipe.model.parameters()):
        if config.num_ranks > 1:
            raise ConfigError("nothing of this head is trained step by step: use one device")
        total_steps = 1  # all was learnt at once: what is left is to score it
    sampler.first_batch, sampler.num_batches = state.step * config.accumulate, total_steps * config.accumulate
    plan = RunPlan(
        total_steps=total_steps,
        fixed_statistics=config.backbone_weights != "none" or config.init_from is not None,
        optimizer_state=saved["optimizer"] if saved else None,
    )
    module = run.recipe.module(state, plan)
    loader: DataLoader[Any] = DataLoader(
        run.prepared.items,
        batch_sampler=sampler,
        collate_fn=run.prepared.collate,
        num_workers=config.workers,
        pin_memory=device.type == "cuda",
    )
    with narrator.bar("training", total_steps, unit="steps", lines=False) as bar, quiet_lightning():
        keeper = RunKeeper(
            run,
            steps_per_epoch=steps_per_epoch,
            total_steps=total_steps,
            narrator=narrator,
            bar=bar,
            checkpoint_every_s=checkpoint_every_s,
        )
        trainer = make_trainer(config, device, run.folder.path, [keeper])
        if saved:
            trainer.precision_plugin.load_state_dict(saved["precision"])
        with stop_between_steps(keeper, narrator), one_line_where_a_rank_dies(config):
            trainer.fit(module, loader)
    for failure in sorted(module.failures):
        narrator.warn(f"left out of its batches: {failure}")


def _provenance(config: TrainingConfig, recipe: Recipe, prepared: PreparedData, command: str | None) -> dict[str, Any]:
    backbone = recipe.model.config.backbone
    return {
        "command": command or shlex.join(sys.argv),
        "started": _now(),
        "seed": config.seed,
        "data": recipe.describe_data(),
        "backbone": {
            "name": backbone.name if backbone else None,
            "sha256": prepared.backbone_key,
            "runtime": prepared.runtime,
        },
        "init_from": recipe.init.to_dict() if recipe.init else None,
        "skipped": list(prepared.skipped),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("lrcn", "torch", "torchvision", "lightning", "timm", "av")},
        },
    }


def _result(
    config: TrainingConfig, folder: RunFolder, state: RunState, skipped: tuple[str, ...], init: InitReport | None
) -> TrainResult:
    score = state.history[state.best_epoch - 1].get(_score_column(config, state)) if state.best_epoch else None
    return TrainResult(folder.model, state.best_epoch, score, tuple(state.history), skipped, init)


def _score_column(config: TrainingConfig, state: RunState) -> str:
    return config.columns_among(state.history[-1] if state.history else ())[-1]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
