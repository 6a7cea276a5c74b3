"""Which recipe suits a data set? Each is tried on cached features by folds of whole sources; the best trains on all.

What the search promises is a nested estimate: the score of choosing like this, on sources that neither the choice nor
the training has seen. The score of the chosen recipe itself is too good, for it was chosen by that score.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lrcn.data.recognition.examples import SEVERAL_AT_ONCE, RecognitionData, RecognitionExample
from lrcn.data.recognition.grouping import grouped_folds, with_groups
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import ConfigError, DataError, LRCNError, MediaError
from lrcn.experiments.search_recipes import Recipe, Recipes, check_settings, plain, recipes_for, recipes_of
from lrcn.experiments.search_report import SearchReport, Tally, Trial, best, held_out, nested_estimate
from lrcn.experiments.search_trainings import Folds, FoldTrainings
from lrcn.models.backbones import default_preprocess
from lrcn.training.features import EncodedVideos
from lrcn.training.fit import train
from lrcn.training.progress import Narrator, clock
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.recognition.data import training_part
from lrcn.training.recognition.data_set import check_every_class, check_labels, fingerprint
from lrcn.training.run_folder import SEARCH_FOLDER, RunFolder

MOST_FOLDS = 5
SEARCH_TABLE = "search.csv"

_SCHEMA = 1
"""Version of what is kept to go on from."""


def search(
    config: RecognitionTrainingConfig,
    data: str | Path | RecognitionData,
    *,
    output: str | Path,
    recipes: Recipes | None = None,
    minutes: float | None = None,
    resume: bool = False,
    device: str = "auto",
    cache_dir: Path | None = None,
    quiet: bool = False,
    command: str | None = None,
) -> SearchReport:
    """Try recipes by folds of whole sources, and train the best one on all training and validation clips.

    `output` then holds what `train` leaves, `search.csv` with the scores of all recipes on all folds, and the folder
    `search`, from which a search that was killed goes on, to the same end. The test split is not touched.

    Args:
        config: What all recipes have in common; its `score` is what they are compared by.
        data: A data set, or the path of one.
        output: Folder of the run; it must not hold another.
        recipes: Name -> settings that it changes; None takes those of `recipes_for`. The first must fit into the time.
        minutes: No training begins after this time; a recipe that is not through by then is not chosen. The training
            on all clips comes on top. None tries all.
        resume: Go on with the search in `output`, with its recipes and its minutes, unless others are given; begin it
            if there is none yet.
        device: As for `train`.
        cache_dir: As for `train`.
        quiet: As for `train`.
        command: As for `train`.

    Raises:
        ConfigError: If settings do not suit a search or contradict the run in `output`, or there is not even time for
            one recipe.
        DataError: If a class has clips of one source only, or none that can be read.
        LRCNError: As for `train`.
    """
    check_settings(config)
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"the minutes of a search must be above 0, got {minutes}")
    output = Path(output)
    narrator = Narrator(quiet=quiet)
    if not resume:
        RunFolder(output).check_new()
    data = data if isinstance(data, RecognitionData) else read_recognition_data(data, seed=config.seed)
    if data.multi_label:
        raise DataError(f"{data.name}: {SEVERAL_AT_ONCE}, and a search compares how many clips are named rightly")
    for warning in data.warnings:
        narrator.warn(warning)
    run = _Search(
        config.resolved(config.preprocess_config(default_preprocess(config.backbone))),
        _pooled(data),
        output,
        narrator,
        device=device,
        cache_dir=cache_dir,
    )
    try:
        report = run.report(recipes, minutes, resume=resume)
    except KeyboardInterrupt:
        narrator.note("stopped; --resume goes on from here")
        raise
    report.save(output / SEARCH_TABLE)
    _tell(report, narrator)
    result = train(
        run.config_of(report),
        replace(data, examples=tuple(_training(example) for example in data.examples), warnings=()),
        output=output,
        resume=True,
        device=device,
        cache_dir=cache_dir,
        quiet=quiet,
        command=command,
        provenance={"search": report.to_dict()},
    )
    return replace(report, model_path=result.model_path)


def _training(example: RecognitionExample) -> RecognitionExample:
    return replace(example, split="train") if example.split == "val" else example


def _pooled(data: RecognitionData) -> RecognitionData:
    """Return training and validation examples as one training split, with groups; no test split, no warnings."""
    examples, _ = with_groups([_training(example) for example in data.examples if example.split != "test"], Path())
    pooled = replace(data, examples=tuple(examples), warnings=())
    check_labels(pooled, needs_validation=False)
    return pooled


class _Search:
    """A search under way: trains, scores, and writes down what it knows after each training."""

    def __init__(
        self,
        base: RecognitionTrainingConfig,
        data: RecognitionData,
        output: Path,
        narrator: Narrator,
        *,
        device: str,
        cache_dir: Path | None,
    ) -> None:
        """Take the resolved settings, and the examples that recipes are tried on, all of them in `train`."""
        self._base, self._data, self._narrator = base, data, narrator
        self._output = output
        self._folder = RunFolder(output / SEARCH_FOLDER)
        self._trainings = FoldTrainings(data, narrator, device=device, cache_dir=cache_dir)
        self._marked = time.monotonic()
        self._state: dict[str, Any] = {}

    def report(self, given: Recipes | None, minutes: float | None, *, resume: bool) -> SearchReport:
        """Try the recipes, or go on with that, and choose."""
        there = resume and self._folder.run_file.is_file()
        if there:
            self._folder.check_same(self._base)
            self._state = self._folder.read_run()
            if self._state.get("schema") != _SCHEMA:
                raise ConfigError(f"{self._folder.path}: of another version of lrcn; search in another --output")
        elif resume and RunFolder(self._output).checkpoint.exists():
            raise ConfigError(f"{self._output} holds a training run that is no search: leave --search out")
        wanted = given or (dict(self._state["recipes"]) if there else recipes_for(self._base))
        recipes = recipes_of(self._base, wanted)
        folds = self._folds(recipes[0])
        groups = [sorted({example.group for example in fold}) for fold in folds]
        known = {
            "schema": _SCHEMA,
            "data": fingerprint(self._data),
            "folds": groups,
            "minutes": minutes if minutes is not None else self._state.get("minutes"),
            "recipes": [[name, plain(changes)] for name, changes in wanted.items()],
        }
        if there:
            for part in ("data", "folds", "recipes"):
                if self._state[part] != known[part]:
                    raise ConfigError(f"{self._output} was started with other {part}; search in another --output")
        self._state = {"trainings": {}, "chosen": None, "left_out": {}, **self._state, **known}
        self._folder.start(self._base, self._state)

        num_groups, num_clips = sum(map(len, groups)), sum(map(len, folds))
        unread = len(self._data.examples) - num_clips
        fewer = f", no more than there are sources (of {MOST_FOLDS} wanted)" if len(folds) < MOST_FOLDS else ""
        missing = f" ({unread} more cannot be read)" if unread else ""
        self._narrator.note(
            f"{num_clips} clips{missing} of {num_groups} sources in {len(folds)} folds{fewer}; "
            f"{len(recipes)} recipes of {len(held_out(len(folds)))} trainings each"
        )
        if self._state["chosen"] is None:
            try:
                self._try(recipes[0], folds, first=True)
            except LRCNError:
                self._discard()
                raise
            self._try_others(recipes[1:], folds)
        trials = [trial for recipe in recipes if (trial := self._trial(recipe, len(folds))) is not None]
        score = self._base.score
        chosen = self._state["chosen"] or best(trials, Trial.outer, score).recipe
        self._state["chosen"] = chosen
        self._folder.write_run(self._state)
        for left in self._folder.path.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
        return SearchReport(
            data=self._data.name,
            num_clips=num_clips,
            num_groups=num_groups,
            score_name=score,
            rows=tuple(trial.row(score) for trial in trials),
            chosen=chosen,
            nested=nested_estimate(trials, len(folds), score),
            left_out=dict(self._state["left_out"]),
        )

    def config_of(self, report: SearchReport) -> RecognitionTrainingConfig:
        """Return the settings of the chosen recipe."""
        changes = next(row.changes for row in report.rows if row.recipe == report.chosen)
        return replace(self._base, **changes)

    def _folds(self, first: Recipe) -> list[list[RecognitionExample]]:
        """Return the examples that can be read, in folds; what the first recipe reads of them is cached."""
        self._divided(self._data.examples)
        encoded = self._trainings.encoded(first.config)
        examples: list[RecognitionExample] = []
        failures: list[str] = []
        for example in self._data.examples:
            try:
                encoded.get(training_part(example, first.config))
                examples.append(example)
            except MediaError as exc:
                failures.append(str(exc))
        if not examples:
            raise DataError(f"{self._data.name}: no video can be read; the first: {failures[0]}")
        readable = {example.label for example in examples}
        check_every_class(self._data.labels, readable, f"{self._data.name}: no video can be read")
        return self._divided(examples)

    def _divided(self, examples: Sequence[RecognitionExample]) -> list[list[RecognitionExample]]:
        try:
            return grouped_folds(examples, most=MOST_FOLDS, seed=self._base.seed)
        except DataError as exc:
            raise DataError(f"{self._data.name}: {exc}") from exc

    def _try_others(self, recipes: Sequence[Recipe], folds: Folds) -> None:
        left_out = self._state["left_out"]
        for recipe in recipes:
            if recipe.name in left_out:
                continue
            try:
                if not self._try(recipe, folds):
                    left_out[recipe.name] = "the minutes were over"
            except LRCNError as exc:
                left_out[recipe.name] = str(exc)
                self._folder.write_run(self._state)
            if recipe.name in left_out:
                self._narrator.note(f"{recipe.name}: left out, {left_out[recipe.name]}")

    def _try(self, recipe: Recipe, folds: Folds, *, first: bool = False) -> bool:
        """Train a recipe without each fold and each pair of them; return whether there was time for all of it.

        Raises:
            ConfigError: If it was the first and there was not.
        """
        wanted = held_out(len(folds))
        kept = self._state["trainings"].get(recipe.name, {})
        left = [without for without in wanted if _key(without) not in kept]
        encoded: EncodedVideos | None = None
        with self._narrator.bar(recipe.name, len(wanted), unit="trainings") as bar:
            for done, without in enumerate(left, start=len(wanted) - len(left)):
                if self._over():
                    if first:
                        raise self._too_few_minutes(done, len(wanted))
                    return False
                bar.update(done)
                if encoded is None:
                    encoded = self._trainings.encoded(recipe.config)
                run = self._run_folder(recipe, without)
                tallies = self._trainings.tallies(recipe, folds, without, run, encoded)
                self._keep(recipe, without, tallies)
                shutil.rmtree(run, ignore_errors=True)
        trial = self._trial(recipe, len(folds))
        assert trial is not None
        row = trial.row(self._base.score)
        shown = " ".join(f"{100 * score:.1f}" for score in row.fold_scores)
        self._narrator.note(f"{recipe.name}: {100 * row.score:.1f} % (folds {shown}), {clock(row.seconds)}")
        return True

    def _run_folder(self, recipe: Recipe, without: tuple[int, ...]) -> Path:
        number = [name for name, _ in self._state["recipes"]].index(recipe.name)
        return self._folder.path / f"{number}-without-{'-'.join(map(str, without))}"

    def _keep(self, recipe: Recipe, without: tuple[int, ...], tallies: Mapping[int, Tally]) -> None:
        now = time.monotonic()
        entry = {
            "seconds": round(now - self._marked, 3),
            "tallies": {str(fold): asdict(tally) for fold, tally in tallies.items()},
        }
        self._marked = now
        self._state["trainings"].setdefault(recipe.name, {})[_key(without)] = entry
        self._folder.write_run(self._state)

    def _used_s(self) -> float:
        entries = (entry for kept in self._state["trainings"].values() for entry in kept.values())
        return float(sum(entry["seconds"] for entry in entries))

    def _over(self) -> bool:
        """Whether the minutes are over; what a killed part of the search took counts."""
        minutes = self._state["minutes"]
        return minutes is not None and bool(self._state["trainings"]) and self._used_s() >= 60 * minutes

    def _too_few_minutes(self, done: int, wanted: int) -> ConfigError:
        needed = math.ceil(self._used_s() / 60 * wanted / done + 0.5)
        return ConfigError(
            f"{self._state['minutes']:g} minutes are too few for one recipe: {done} of its {wanted} trainings took "
            f"{clock(self._used_s())}; give the search {needed} minutes or more"
        )

    def _discard(self) -> None:
        shutil.rmtree(self._folder.path)
        if not any(self._output.iterdir()):
            self._output.rmdir()

    def _trial(self, recipe: Recipe, num_folds: int) -> Trial | None:
        """Return what the trainings of a recipe brought, or None if it is not through."""
        kept = self._state["trainings"].get(recipe.name, {})
        if any(_key(without) not in kept for without in held_out(num_folds)):
            return None
        tallies = {
            without: {int(fold): Tally(**tally) for fold, tally in kept[_key(without)]["tallies"].items()}
            for without in held_out(num_folds)
        }
        return Trial(recipe.name, recipe.changes, tallies, sum(entry["seconds"] for entry in kept.values()))


def _tell(report: SearchReport, narrator: Narrator) -> None:
    row = next(row for row in report.rows if row.recipe == report.chosen)
    name = report.score_name.replace("_", " ")
    narrator.note(f"chosen: {report.chosen}, {name} {100 * row.score:.1f} % on sources held out")
    if report.nested is None:
        narrator.note("no nested estimate: it takes clips of three sources or more")
        return
    shown = " ".join(f"{100 * score:.1f}" for score in report.nested.fold_scores)
    narrator.note(
        f"nested estimate: {name} {100 * report.nested.score:.1f} % (folds {shown}), what choosing like this promises "
        "for new sources; the score of the chosen one is too good, for it was chosen by it"
    )


def _key(without: tuple[int, ...]) -> str:
    return " ".join(map(str, without))
