"""What a search knows of its recipes, which it chooses, and what to expect of that.

Shapes: K folds. A training leaves out one fold, or two: a network that has seen neither fold j nor fold k says how good
its recipe is on j without k, and on k without j. So K (K - 1) / 2 trainings serve the inner folds of all outer ones.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from lrcn.files import replacing_table

NESTED_ROW = "nested estimate"


@dataclass(frozen=True)
class Tally:
    """How clips were named whose sources the network had not seen."""

    right: Mapping[str, int]
    """Class -> clips named rightly."""
    total: Mapping[str, int]
    """Class -> clips."""
    loss: float
    """Sum over the clips: minus the logarithm of the probability of their class."""

    def score(self, name: str) -> float:
        """Return `accuracy` or `mean_class_accuracy`, in 0-1."""
        if name == "accuracy":
            return sum(self.right.values()) / sum(self.total.values())
        return sum(self.right[label] / count for label, count in self.total.items()) / len(self.total)


def added(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of several folds together."""
    right: dict[str, int] = {}
    total: dict[str, int] = {}
    loss = 0.0
    for tally in tallies:
        loss += tally.loss
        for label, count in tally.total.items():
            right[label] = right.get(label, 0) + tally.right[label]
            total[label] = total.get(label, 0) + count
    return Tally(right, total, loss)


@dataclass(frozen=True)
class SearchRow:
    """One recipe that was tried on all folds."""

    recipe: str
    changes: dict[str, Any]
    """Settings that differ from those given."""
    score: float
    """On all clips, each named by a network that had not seen its source."""
    fold_scores: tuple[float, ...]
    seconds: float
    """That its trainings took, features included."""


@dataclass(frozen=True)
class NestedEstimate:
    """What to expect of the model on clips of new sources."""

    score: float
    """On all clips, each named by a network of the recipe that the other folds chose among themselves."""
    fold_scores: tuple[float, ...]
    recipes: tuple[str, ...]
    """Which recipe was chosen without each fold."""


@dataclass(frozen=True)
class SearchReport:
    """What a search tried, chose and promises."""

    data: str
    num_clips: int
    """Training and validation clips that can be read."""
    num_groups: int
    """Their sources, of which each lies in one fold."""
    score_name: str
    """`accuracy` or `mean_class_accuracy`: what all scores here are, in 0-1."""
    rows: tuple[SearchRow, ...]
    """In the order in which they were tried."""
    chosen: str
    nested: NestedEstimate | None
    """None with two folds: without one of them, the other cannot be divided again."""
    left_out: dict[str, str]
    """Recipes that could not be tried, or not in time, and why."""
    model_path: Path | None = None
    """The chosen recipe, trained on all clips but those of the test split."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, as `run.json` and the model file have it."""
        return {name: value for name, value in asdict(self).items() if name != "model_path"}

    def save(self, path: Path) -> None:
        """Write the table as CSV: one row a recipe, and one of the nested estimate."""
        folds = [f"fold_{number}" for number in range(1, 1 + len(self.rows[0].fold_scores))]
        with replacing_table(path) as file:
            writer = csv.writer(file)
            writer.writerow(["recipe", self.score_name, *folds, "seconds", "chosen", "settings"])
            for row in self.rows:
                chosen = "yes" if row.recipe == self.chosen else ""
                scores = [f"{score:.4f}" for score in (row.score, *row.fold_scores)]
                writer.writerow([row.recipe, *scores, f"{row.seconds:.1f}", chosen, json.dumps(row.changes)])
            if self.nested is not None:
                scores = [f"{score:.4f}" for score in (self.nested.score, *self.nested.fold_scores)]
                writer.writerow([NESTED_ROW, *scores, "", "", ""])


@dataclass(frozen=True)
class Trial:
    """A recipe that all trainings of `held_out` were made with."""

    recipe: str
    changes: Mapping[str, Any]
    """Settings that differ from those given."""
    tallies: Mapping[tuple[int, ...], Mapping[int, Tally]]
    """Folds left out -> of each of them, how its clips were named."""
    seconds: float
    """That the trainings took, features included."""

    def outer(self) -> list[Tally]:
        """How the clips of each fold are named by a network that has not seen it."""
        return [self.tallies[without][without[0]] for without in self.tallies if len(without) == 1]

    def inner(self, without: int) -> list[Tally]:
        """How the clips of each fold but one are named by a network that has seen neither."""
        pairs = (pair for pair in self.tallies if len(pair) == 2 and without in pair)
        return [self.tallies[pair][sum(pair) - without] for pair in pairs]

    def row(self, score: str) -> SearchRow:
        """Return what the table says of it."""
        tallies = self.outer()
        return SearchRow(
            recipe=self.recipe,
            changes=dict(self.changes),
            score=added(tallies).score(score),
            fold_scores=tuple(tally.score(score) for tally in tallies),
            seconds=round(self.seconds, 1),
        )


def held_out(num_folds: int) -> list[tuple[int, ...]]:
    """Return which folds each training of a recipe leaves out: each one, then, from three on, each pair."""
    pairs = combinations(range(num_folds), 2) if num_folds > 2 else ()
    return [*((fold,) for fold in range(num_folds)), *pairs]


def best(trials: Sequence[Trial], tallies_of: Callable[[Trial], Iterable[Tally]], score: str) -> Trial:
    """Return the recipe with the highest score on these clips; of several, that of the lowest loss, or the first."""

    def rank(trial: Trial) -> tuple[float, float]:
        tally = added(tallies_of(trial))
        return tally.score(score), -tally.loss

    return max(trials, key=rank)


def nested_estimate(trials: Sequence[Trial], num_folds: int, score: str) -> NestedEstimate | None:
    """Return the score of choosing: for each fold, that of the recipe which is the best on the others without it.

    None with fewer than three folds.
    """
    if num_folds < 3:
        return None
    winners = [_best_without(fold, trials, score) for fold in range(num_folds)]
    tallies = [winner.outer()[fold] for fold, winner in enumerate(winners)]
    return NestedEstimate(
        score=added(tallies).score(score),
        fold_scores=tuple(tally.score(score) for tally in tallies),
        recipes=tuple(winner.recipe for winner in winners),
    )


def _best_without(fold: int, trials: Sequence[Trial], score: str) -> Trial:
    return best(trials, lambda trial: trial.inner(fold), score)
