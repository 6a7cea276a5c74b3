"""How good are recipes on sets of real clips? Grouped cross-validation of every data set in a folder, one table.

    python -m benchmarks.real_sets DIR --seeds 3 --json FILE

Every folder of DIR with an `annotations.csv` (path, label, group) is a set. All its clips count, whatever their split:
each group of clips (a person, a recording, a source) is left out once, or each of `--folds` parts of the groups where
there are more than 14, and judged by what was trained on the others. There are no validation clips: the last epoch
counts, and nothing is chosen by a score here but the penalty of the simple probes, by folds of the training groups.

FILE holds every fold that is done: the same command goes on where it was stopped, and trains anew what has other
settings now.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from benchmarks.grouped_folds import grouped_folds, interval_by_group, number_of_folds
from benchmarks.simple_probes import VECTORS, fit_probe
from lrcn import model_file
from lrcn.config import RecognitionHeader
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.datasets import window_batches
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.features import Part, content_hash
from lrcn.files import write_json
from lrcn.metrics.classification import class_scores, confusion_matrix, mean_class_accuracy
from lrcn.models.backbones import default_preprocess
from lrcn.models.recognition import RecognitionModel
from lrcn.tasks import RECOGNITION
from lrcn.training.features import EncodedVideos, training_views
from lrcn.training.fit import train
from lrcn.training.progress import Narrator
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.recognition.recipe import RecognitionRecipe

FORMER: dict[str, Any] = {
    "layer": "",
    "grid": 1,
    "standardise": False,
    "embedding_size": None,
    "embedding_kind": "learnt",
    "hidden_size": 256,
    "input_dropout": 0.5,
    "output_dropout": 0.5,
    "dropout_mask": "clip",
    "change_memory": (),
    "views": 4,
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "lr_schedule": "cosine",
    "batch_size": 32,
    "epochs": 40,
    "epoch_steps": 1,
    "refit": False,
}
"""Defaults of version 0.1, but for the head."""

PAPER: dict[str, Any] = FORMER | {
    "head": "lstm",
    "head_init": "release",
    "input_dropout": 0.9,
    "dropout_mask": "frame",
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.005,
    "head_lr_multiplier": 10.0,
    "bias_lr_multiplier": 2.0,
    "lr_schedule": "step",
    "lr_step": 1000,
    "max_steps": 3000,
    "batch_size": 24,
    "clip_norm": 5.0,
}
"""LRCN-fc6 of the paper on the packaged backbone, whose last feature is what fc6 is there; a tenth of its 30,000 steps,
with the drops of the learning rate where they are in the whole."""

TRAINED: dict[str, dict[str, Any]] = {
    "before": FORMER | {"head": "lstm"},
    "default": {},
    "frame": FORMER | {"head": "frame"},
    "mean": FORMER | {"head": "mean"},
    "paper": PAPER,
}
"""Row of the table -> settings of `lrcn train recognition`; the rest are today's defaults."""

PROBED = {"before": "probe", "default": "probe of the default's features"}
"""Row whose features simple probes read, too -> what the rows of the probes begin with."""

PROBES = {f"{beginning}: {vector}": (source, vector) for source, beginning in PROBED.items() for vector in VECTORS}

FEW_CLIPS = 5
"""Clips a class that `--few-clips` leaves for training."""

RARE = 9
"""With `--imbalance`, clips of the other classes for each of the rare one."""


@dataclass(frozen=True)
class Judged:
    """What one training said about the clips of one fold."""

    data: str
    row: str
    seed: int
    fold: int
    settings: dict[str, Any]
    """Of the training, all of them; of a probe, what tells it from others."""
    clips: list[int]
    """Positions in the data set."""
    predicted: list[int]
    cpu_s: float
    """Seconds of processor time of the training, all threads together; features were there."""


class Kept:
    """What is done, in a file that grows with every fold."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it is there."""
        self._path = path
        content = json.loads(path.read_text()) if path.is_file() else {"judged": [], "extraction_s": {}}
        self._judged = {_key(one): Judged(**one) for one in content["judged"]}
        self.extraction_s: dict[str, float] = content["extraction_s"]
        """Set and features -> seconds of processor time that they took when they were not there yet."""
        self.scores: list[dict[str, Any]] = []
        """Rows of the table, which are written with the rest."""

    def judged(self, wanted: Judged) -> Judged | None:
        """Return what is known of a fold, unless it had other settings or clips."""
        found = self._judged.get(_key(asdict(wanted)))
        same = found is not None and (found.settings, found.clips) == (wanted.settings, wanted.clips)
        return found if same else None

    def add(self, judged: Judged) -> None:
        """Keep a fold."""
        self._judged[_key(asdict(judged))] = judged
        self.write()

    def extracted(self, what: str, seconds: float) -> None:
        """Keep how long features took; less than before means that they were there already."""
        self.extraction_s[what] = max(seconds, self.extraction_s.get(what, 0.0))
        self.write()

    def write(self) -> None:
        """Write all of it."""
        judged = [asdict(one) for one in self._judged.values()]
        write_json(self._path, {"scores": self.scores, "extraction_s": self.extraction_s, "judged": judged})


def resolved(config: RecognitionTrainingConfig) -> RecognitionTrainingConfig:
    """Return settings with nothing left to defaults."""
    return config.resolved(config.preprocess_config(default_preprocess(config.backbone)))


def _key(one: Mapping[str, Any]) -> tuple[str, str, int, int]:
    return (one["data"], one["row"], one["seed"], one["fold"])


class RealSet:
    """One data set: its folds, and the features of its clips under every recipe that asks for them."""

    def __init__(self, path: Path, *, most_folds: int, cache_dir: Path | None, kept: Kept) -> None:
        """Read the annotations; features come when they are asked for."""
        self.data = read_recognition_data(path)
        self.name = path.name
        self.examples = self.data.examples
        self.groups = [example.group for example in self.examples]
        self.targets = np.array([self.data.labels.index(example.label) for example in self.examples])
        self.folds = grouped_folds(self.groups, number_of_folds(self.groups, most_folds))
        self._cache_dir = cache_dir
        self._kept = kept
        self._videos: dict[str, list[FeatureVideo]] = {}

    def __str__(self) -> str:
        num_groups = len(set(self.groups))
        how = "each left out once" if len(self.folds) == num_groups else f"in {len(self.folds)} folds"
        most_frequent = np.bincount(self.targets).max() / len(self.targets)
        return (
            f"{self.name}: {len(self.examples)} clips, {len(self.data.labels)} classes, {num_groups} groups, {how}; "
            f"most frequent class {100 * most_frequent:.1f} %"
        )

    def training_data(self, clips: Iterable[int]) -> RecognitionData:
        """Return a data set of these clips alone, all for training."""
        examples = tuple(replace(self.examples[clip], split="train") for clip in clips)
        return replace(self.data, examples=examples, warnings=())

    def videos(self, config: RecognitionTrainingConfig) -> list[FeatureVideo]:
        """Return the features of all clips, in order, the centre crop first, with this recipe's backbone and views."""
        config = resolved(config)
        backbone = f"{config.backbone} {config.layer or 'last feature'} {config.grid}x{config.grid}"
        pixels = f"{config.stream}, {config.sample_fps} fps, {config.resize} px, {config.crop} px, {config.views} views"
        what = f"{self.name}: {backbone}, {pixels}, {config.runtime}"
        if what not in self._videos:
            began = time.process_time()
            self._videos[what] = self._encoded(config)
            self._kept.extracted(what, time.process_time() - began)
        return self._videos[what]

    def _encoded(self, config: RecognitionTrainingConfig) -> list[FeatureVideo]:
        narrator = Narrator()
        preprocess = config.preprocess_config(default_preprocess(config.backbone))
        recipe = RecognitionRecipe(config, preprocess, self.training_data(range(len(self.examples))), narrator)
        recipe.build()
        encoded = EncodedVideos(
            recipe.header({}),
            recipe.model,
            runtime=config.runtime,
            cache_dir=self._cache_dir,
            device=torch.device("cpu"),
        )

        def part_of(example: RecognitionExample) -> Part:
            views = training_views(config, content_hash(example.path), release_quirks=config.release_quirks)
            return Part(example.path, views, example.start_s, example.end_s)

        with narrator.bar(f"features of {self.name}", len(self.examples), unit="videos") as bar:
            encoded.fill(self.examples, part_of, bar)
        return [encoded.get(part_of(e), label_id=t) for e, t in zip(self.examples, self.targets.tolist(), strict=True)]

    def predicted(self, config: RecognitionTrainingConfig, trained: Sequence[int], judged: Sequence[int]) -> list[int]:
        """Train on some clips and return the classes that the model gives others, averaged over windows."""
        header, model = self.trained(config, trained)
        return [int(guess) for guess in self.probs(config, header, model, judged).argmax(axis=1)]

    def trained(
        self, config: RecognitionTrainingConfig, clips: Sequence[int]
    ) -> tuple[RecognitionHeader, RecognitionModel]:
        """Train on some clips."""
        self.videos(config)
        with tempfile.TemporaryDirectory() as name:
            result = train(
                config,
                self.training_data(clips),
                output=Path(name) / "run",
                device="cpu",
                cache_dir=self._cache_dir,
                quiet=True,
            )
            return model_file.load(result.model_path, task=RECOGNITION)

    def probs(
        self,
        config: RecognitionTrainingConfig,
        header: RecognitionHeader,
        model: RecognitionModel,
        judged: Sequence[int],
        *,
        shuffle_seed: int | None = None,
    ) -> NDArray[np.float64]:
        """Return the probabilities of clips `(N, A)`, averaged over windows, whose frames may be put out of order."""
        videos = self.videos(config)
        probs = np.zeros((len(judged), len(self.data.labels)))
        rng = np.random.default_rng(shuffle_seed)
        windows = window_batches(
            [videos[clip] for clip in judged], header.preprocess.clip_length, header.preprocess.clip_stride
        )
        with torch.inference_mode():
            for batch in windows:
                features = batch.features
                if shuffle_seed is not None:
                    for clip, length in zip(features, batch.lengths.tolist(), strict=True):
                        clip[:length] = clip[torch.from_numpy(rng.permutation(length))]
                np.add.at(probs, batch.videos.numpy(), model.clip_probs(features, batch.lengths).numpy())
        return probs / probs.sum(axis=1, keepdims=True)

    def probed(
        self, config: RecognitionTrainingConfig, vector: str, trained: Sequence[int], judged: Sequence[int]
    ) -> list[int]:
        """Fit a simple probe to some clips and return the classes that it gives others."""
        whole = [video.window(0, 0, video.num_frames).astype(np.float32) for video in self.videos(config)]
        rows = torch.from_numpy(np.stack([VECTORS[vector](features) for features in whole]))
        groups = [self.groups[clip] for clip in trained]
        labels = torch.from_numpy(self.targets[trained])
        probe = fit_probe(rows[trained], labels, groups, num_classes=len(self.data.labels))
        return [int(guess) for guess in probe.predict(rows[judged])]


@dataclass(frozen=True)
class Row:
    """One way to train, over all folds of a set."""

    name: str
    config: RecognitionTrainingConfig
    vector: str | None = None
    """Of a simple probe on the recipe's features."""
    subset: Callable[[RealSet, Sequence[int], int], list[int]] | None = None
    """Takes the training clips of a fold and the seed, and leaves some of them."""

    def settings(self, seed: int) -> dict[str, Any]:
        """Return what a result depends on, as JSON holds it."""
        own = resolved(self.config).to_dict() | {"seed": seed}
        if self.vector is not None:
            own = {"vector": self.vector, **{name: own[name] for name in ("backbone", "layer", "grid", "sample_fps")}}
        return own


def cross_validate(row: Row, real_set: RealSet, seed: int, kept: Kept) -> list[Judged]:
    """Train and judge every fold that is not known yet."""
    results = []
    for number, fold in enumerate(real_set.folds):
        wanted = Judged(real_set.name, row.name, seed, number, row.settings(seed), fold.judged.tolist(), [], 0.0)
        found = kept.judged(wanted)
        if found is None:
            trained = fold.trained.tolist()
            if row.subset is not None:
                trained = row.subset(real_set, trained, seed)
            config = replace(row.config, seed=seed)
            real_set.videos(config)  # before the clock starts
            began = time.process_time()
            if row.vector is None:
                predicted = real_set.predicted(config, trained, wanted.clips)
            else:
                predicted = real_set.probed(config, row.vector, trained, wanted.clips)
            found = replace(wanted, predicted=predicted, cpu_s=time.process_time() - began)
            kept.add(found)
            right = int((real_set.targets[found.clips] == found.predicted).sum())
            told = f"fold {number + 1} of {len(real_set.folds)}: {right} of {len(predicted)} right"
            print(f"{real_set.name}, {row.name}, seed {seed}, {told}, {found.cpu_s:.1f} s", file=sys.stderr, flush=True)
        results.append(found)
    return results


def score(real_set: RealSet, runs: Sequence[Sequence[Judged]]) -> dict[str, Any]:
    """Return the scores of a row on a set; each run is one seed."""
    right = np.zeros(len(real_set.targets))
    of_class, recalls = [], []
    for run in runs:
        predicted = np.zeros(len(real_set.targets), dtype=np.int64)
        for one in run:
            predicted[one.clips] = one.predicted
        right += predicted == real_set.targets
        confusion = confusion_matrix(real_set.targets, predicted, len(real_set.data.labels))
        of_class.append(mean_class_accuracy(confusion))
        recalls.append(class_scores(confusion).recall)
    right /= len(runs)
    return {
        "data": real_set.name,
        "row": runs[0][0].row,
        "seeds": len(runs),
        "accuracy": float(right.mean()),
        "interval": interval_by_group(right, real_set.groups),
        "mean_class_accuracy": mean(of_class),
        "recalls": dict(zip(real_set.data.labels, np.mean(recalls, axis=0).tolist(), strict=True)),
        "cpu_min": mean(one.cpu_s for run in runs for one in run) / 60,
    }


def few_clips(real_set: RealSet, trained: Sequence[int], seed: int) -> list[int]:
    """Return `FEW_CLIPS` of every class, or what there is of it."""
    return _drawn(real_set, trained, seed, lambda label, number: min(FEW_CLIPS, number))


def imbalanced(real_set: RealSet, trained: Sequence[int], seed: int) -> list[int]:
    """Return all but most clips of the first class: of those, one for every `RARE` of all others."""
    others = int((real_set.targets[trained] != 0).sum())
    return _drawn(real_set, trained, seed, lambda label, number: number if label else max(1, round(others / RARE)))


def _drawn(real_set: RealSet, trained: Sequence[int], seed: int, keep: Callable[[int, int], int]) -> list[int]:
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for label in range(len(real_set.data.labels)):
        own = [clip for clip in trained if real_set.targets[clip] == label]
        chosen += rng.permutation(own)[: keep(label, len(own))].tolist()
    return sorted(chosen)


def table(scores: Sequence[Mapping[str, Any]], sets: Sequence[str]) -> str:
    """Return Markdown: of every set the accuracy with its interval, the mean class accuracy, and minutes."""
    head = "".join(f" {name} | class | min |" for name in sets)
    lines = [f"| |{head} mean |", "|---|" + "---|" * (3 * len(sets) + 1)]
    of_row: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in scores:
        of_row.setdefault(one["row"], {})[one["data"]] = one
    for name, found in of_row.items():
        cells = "".join(_cells(found.get(data)) for data in sets)
        whole = len(found) == len(sets)
        average = f"{100 * mean(one['accuracy'] for one in found.values()):.1f}" if whole else ""
        lines.append(f"| {name} |{cells} {average} |")
    return "\n".join(lines)


def _cells(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return " | | |"
    low, high = one["interval"]
    accuracy = f"{100 * one['accuracy']:.1f} ({100 * low:.0f} to {100 * high:.0f})"
    return f" {accuracy} | {100 * one['mean_class_accuracy']:.1f} | {one['cpu_min']:.2f} |"


def recall_table(scores: Sequence[Mapping[str, Any]]) -> str:
    """Return Markdown: recall of every class."""
    lines = [f"| set | | {' | '.join(scores[0]['recalls'])} | mean |"] if scores else []
    lines += ["|" + "---|" * (3 + len(scores[0]["recalls"]))] if scores else []
    for one in scores:
        recalls = " | ".join(f"{100 * value:.1f}" for value in one["recalls"].values())
        lines.append(f"| {one['data']} | {one['row']} | {recalls} | {100 * one['mean_class_accuracy']:.1f} |")
    return "\n".join(lines)


def rows_named(names: Sequence[str], files: Sequence[Path]) -> list[Row]:
    """Return rows of the table, those of settings files last.

    Raises:
        SystemExit: If there is no such row.
    """
    rows = []
    for name in names:
        if name in TRAINED:
            rows.append(Row(name, RecognitionTrainingConfig(**TRAINED[name])))
        elif name in PROBES:
            source, vector = PROBES[name]
            rows.append(Row(name, RecognitionTrainingConfig(**TRAINED[source]), vector))
        else:
            raise SystemExit(f"no row {name!r}; there are: {', '.join([*TRAINED, *PROBES])}")
    rows += [Row(file.stem, RecognitionTrainingConfig(**yaml.safe_load(file.read_text()))) for file in files]
    return rows


def main() -> None:
    """Train, judge, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of data sets")
    parser.add_argument("--sets", nargs="+", help="some of them, by name")
    parser.add_argument("--rows", nargs="*", default=[*TRAINED, *PROBES], help=f"some of: {', '.join(TRAINED)}, ...")
    parser.add_argument("--config", nargs="*", type=Path, default=[], help="settings files, a further row each")
    parser.add_argument("--seeds", type=int, default=3, help="trainings with other random numbers")
    parser.add_argument("--folds", type=int, default=5, help="of sets with more than 14 groups")
    parser.add_argument("--few-clips", action="store_true", help=f"the default with {FEW_CLIPS} clips a class, too")
    parser.add_argument(
        "--imbalance", action="store_true", help=f"the default, {RARE} others for each clip of the first class, too"
    )
    parser.add_argument("--cache-dir", type=Path, help="where features are kept; by default where training keeps them")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/real_sets.json"), help="what is done")
    arguments = parser.parse_args()

    rows = rows_named(arguments.rows, arguments.config)
    default = RecognitionTrainingConfig()
    if arguments.few_clips:
        rows.append(Row(f"default, {FEW_CLIPS} clips a class", default, subset=few_clips))
    if arguments.imbalance:
        uneven = replace(default, balance_classes=False)
        rows.append(Row(f"default, 1:{RARE}", default, subset=imbalanced))
        rows.append(Row(f"default, 1:{RARE}, not balanced", uneven, subset=imbalanced))
    kept = Kept(arguments.json)
    sets = [
        RealSet(path, most_folds=arguments.folds, cache_dir=arguments.cache_dir, kept=kept)
        for path in sorted(file.parent for file in arguments.folder.glob("*/annotations.csv"))
        if not arguments.sets or path.name in arguments.sets
    ]
    if not sets:
        raise SystemExit(f"{arguments.folder}: no such folders with an annotations.csv")
    runs: dict[tuple[str, str], list[list[Judged]]] = {}
    for seed in range(arguments.seeds):
        for row in rows:
            for real_set in sets:
                if row.vector is None or seed == 0:  # a probe has no random numbers
                    runs.setdefault((row.name, real_set.name), []).append(cross_validate(row, real_set, seed, kept))
    kept.scores = [score(real_set, runs[row.name, real_set.name]) for row in rows for real_set in sets]
    kept.write()

    for real_set in sets:
        print(f"- {real_set}")
    print(f"\n{table(kept.scores, [real_set.name for real_set in sets])}\n")
    for name in [real_set.name for real_set in sets] if arguments.imbalance else []:
        print(f"{recall_table([one for one in kept.scores if one['data'] == name])}\n")
    for what, seconds in kept.extraction_s.items():
        print(f"- {what}: {seconds / 60:.1f} minutes of processor time")


if __name__ == "__main__":
    main()
