"""Does the order of frames matter here? LRCN against what it would be without its parts, on any data set.

Every variant reads the same cached features of the same frozen backbone, so the differences are the head's alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrcn import model_file
from lrcn.config import PreprocessConfig
from lrcn.data.recognition.examples import SEVERAL_AT_ONCE, RecognitionData
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import ConfigError, DataError, MediaError
from lrcn.features import FeatureCache, Part, TorchEncoder, features_key, load_or_encode
from lrcn.files import cache_folder, write_json, write_text
from lrcn.models.recognition import RecognitionModel
from lrcn.training.fit import train
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.video.sampling import clip_windows

LRCN, LAST_STEP, SHUFFLED = "LRCN", "LRCN, last step only", "LRCN, frames shuffled"
SINGLE_FRAME, MEAN_FEATURE = "single frame", "mean of the features"
VARIANTS = {
    LRCN: "an LSTM reads the frames in order; probabilities averaged over the clip",
    LAST_STEP: "the same networks, the last frame's probabilities alone",
    SHUFFLED: "the same networks, tested on clips whose frames are in random order",
    SINGLE_FRAME: "each frame classified alone; probabilities averaged",
    MEAN_FEATURE: "the clip's mean feature classified",
}


@dataclass(frozen=True)
class AblationRow:
    """One variant."""

    variant: str
    accuracy: tuple[float, ...]
    """Share of videos named rightly, one a seed."""
    recall: dict[str, float]
    """Of each class, mean over the seeds."""


@dataclass(frozen=True)
class AblationReport:
    """All variants on one split."""

    data: str
    split: str
    num_videos: int
    chance: float
    """Share of the most frequent class."""
    seeds: tuple[int, ...]
    rows: tuple[AblationRow, ...]
    failures: tuple[str, ...] = ()
    """Videos that could not be read and count nowhere, and why."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)

    def to_markdown(self) -> str:
        """Return a table with mean and range over the seeds."""
        lines = [
            f"{self.data}, {self.num_videos} {self.split} videos, seeds {', '.join(map(str, self.seeds))}; "
            f"most frequent class {self.chance:.1%}",
            "",
            "| variant | accuracy, mean (lowest to highest) | |",
            "|---|---|---|",
        ]
        for row in self.rows:
            mean = statistics.fmean(row.accuracy)
            lines.append(
                f"| {row.variant} | {mean:.1%} ({min(row.accuracy):.1%} to {max(row.accuracy):.1%}) "
                f"| {VARIANTS[row.variant]} |"
            )
        return "\n".join(lines) + "\n"

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write `ablation.json` and `ablation.md`; return their paths."""
        paths = folder / "ablation.json", folder / "ablation.md"
        write_json(paths[0], self.to_dict(), indent=1)
        write_text(paths[1], self.to_markdown())
        return paths


def ablate(
    config: RecognitionTrainingConfig,
    data: str | Path | RecognitionData,
    *,
    output: Path,
    seeds: Sequence[int] = (0, 1, 2),
    split: str = "test",
    device: str = "auto",
    cache_dir: Path | None = None,
    quiet: bool = False,
) -> AblationReport:
    """Train LRCN, the single-frame and the mean-feature classifier with each seed, and score all variants.

    Runs are kept in `output/<head>-seed<n>`; a second call goes on with what is there.

    Args:
        config: How to train; `head`, `readout` and `seed` are set here, and the backbone must be frozen.
        data: A data set, or the path of one.
        output: Folder for the runs and the report.
        seeds: Of the runs.
        split: Which part to score on.
        device: As for `train`.
        cache_dir: As for `train`.
        quiet: As for `train`.

    Raises:
        ConfigError: If the backbone is to be trained.
        DataError: If the split is empty or a class has no training video.
    """
    if config.backbone_trainable:
        raise ConfigError("ablations compare heads on the same features: leave backbone_trainable off")
    if config.vectors is not None:
        raise ConfigError("ablations compare heads on features of a CNN, and ready vectors need none")
    known = data if isinstance(data, RecognitionData) else read_recognition_data(data, seed=config.seed)
    if known.multi_label:
        raise DataError(
            f"{known.name}: {SEVERAL_AT_ONCE}, and what is compared here is how many clips are named rightly"
        )
    known.split(split)
    said: dict[str, list[NDArray[np.int64]]] = {variant: [] for variant in VARIANTS}
    targets: NDArray[np.int64] = np.empty(0, np.int64)
    failures: list[str] = []
    for seed in seeds:
        for head in ("lstm", "frame", "mean"):
            # a second training on validation clips would have seen what is scored
            refit = config.refit and split != "val"
            run = replace(config, head=head, readout="mean", seed=seed, refit=refit)
            result = train(
                run,
                known,
                output=output / f"{head}-seed{seed}",
                resume=True,
                device=device,
                cache_dir=cache_dir,
                quiet=quiet,
            )
            header, model = model_file.load(result.model_path)
            features, targets, failures = _features(
                model, header.preprocess, known, split, cache_folder("features", cache_dir)
            )
            if head == "lstm":
                said[LRCN].append(_predict(model, features, header.preprocess))
                said[SHUFFLED].append(_predict(model, features, header.preprocess, shuffle_seed=seed))
                said[LAST_STEP].append(_predict(_with_readout(model, "last"), features, header.preprocess))
            else:
                variant = SINGLE_FRAME if head == "frame" else MEAN_FEATURE
                said[variant].append(_predict(model, features, header.preprocess))
    rows = tuple(_row(variant, predictions, targets, known.labels) for variant, predictions in said.items())
    chance = float(np.bincount(targets).max() / len(targets))
    return AblationReport(known.name, split, len(targets), chance, tuple(seeds), rows, tuple(failures))


def _features(
    model: RecognitionModel, preprocess: PreprocessConfig, data: RecognitionData, split: str, cache_dir: Path
) -> tuple[list[Tensor], NDArray[np.int64], list[str]]:
    assert model.backbone is not None  # models of ready vectors were refused
    encoder = TorchEncoder(model.backbone, preprocess)
    cache = FeatureCache(cache_dir, features_key(model, preprocess))
    label_ids = {label: number for number, label in enumerate(data.labels)}
    features, targets, failures = [], [], []
    for example in data.split(split):
        try:
            part = Part(example.path, start_s=example.start_s, end_s=example.end_s, roi=example.roi)
            found = load_or_encode(encoder, preprocess, cache, part)
        except MediaError as exc:
            failures.append(str(exc))
            continue
        features.append(found.features[0])
        targets.append(label_ids[example.label])
    if not features:
        raise DataError(f"{data.name}: no {split} video can be read; the first: {failures[0]}")
    return features, np.array(targets), failures


@torch.no_grad()
def _predict(
    model: RecognitionModel, videos: Sequence[Tensor], preprocess: PreprocessConfig, *, shuffle_seed: int | None = None
) -> NDArray[np.int64]:
    """Name each video: the mean over its windows, as recognition does."""
    model.eval()
    generator = torch.Generator().manual_seed(shuffle_seed or 0)
    answers = []
    for frames in videos:
        windows = clip_windows(len(frames), preprocess.clip_length, preprocess.clip_stride)
        clips = torch.stack([frames[start:end] for start, end in windows])
        if shuffle_seed is not None:
            clips = torch.stack([clip[torch.randperm(len(clip), generator=generator)] for clip in clips])
        answers.append(int(model.clip_probs(clips).mean(dim=0).argmax()))
    return np.array(answers)


def _with_readout(model: RecognitionModel, readout: Literal["mean", "last"]) -> RecognitionModel:
    """Return a network with the same weights that reads clips out otherwise."""
    other = RecognitionModel(replace(model.config, readout=readout))
    other.load_state_dict(model.state_dict())
    return other


def _row(
    variant: str, predictions: Sequence[NDArray[np.int64]], targets: NDArray[np.int64], labels: Sequence[str]
) -> AblationRow:
    right = np.stack([answers == targets for answers in predictions])  # (seeds, videos)
    recall = {
        label: float(right[:, targets == number].mean()) for number, label in enumerate(labels) if number in targets
    }
    return AblationRow(variant, tuple(float(share) for share in right.mean(axis=1)), recall)
