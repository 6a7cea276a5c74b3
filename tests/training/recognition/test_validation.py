"""Classes of unequal size: balanced sampling against counts, and the mean of the recalls as the score."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.tiny_training import tiny_config

from lrcn.config import PreprocessConfig
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.datasets import balanced
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.training.progress import Narrator
from lrcn.training.recognition.data import _all_clips, _balances
from lrcn.training.recognition.validation import FeatureValidation, class_shares


def video(label: int, value: float = 0.0) -> FeatureVideo:
    return FeatureVideo(label, 4, (np.full((4, 2), value, np.float32),))


def test_each_class_comes_as_often_as_the_largest_and_each_video_almost_alike() -> None:
    videos = [video(label) for label in [0] * 7 + [1] * 2 + [2] * 3]
    chosen = balanced(videos)
    assert Counter(one.label for one in chosen) == {0: 7, 1: 7, 2: 7}
    times = Counter(id(one) for one in chosen)
    assert set(times) == set(map(id, videos))
    for label in range(3):
        own = [times[id(one)] for one in videos if one.label == label]
        assert max(own) - min(own) <= 1


def test_mean_class_accuracy_is_the_mean_of_the_recalls_over_all_processes() -> None:
    class AlwaysFirst(torch.nn.Module):
        config = tiny_config().recognition_config(2)

        def clip_probs(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.9, 0.1]]).expand(len(features), 2)

    labels = [0] * 9 + [1]
    shares = class_shares(labels)
    sums = [0.0, 0.0]
    for rank in range(3):
        own = [video(label) for label in labels[rank::3]]
        validation = FeatureValidation(own, PreprocessConfig(), shares[rank::3])
        found = validation(AlwaysFirst(), torch.device("cpu"))  # type: ignore[arg-type]
        sums = [a + b for a, b in zip(sums, found["val_mean_class_accuracy"], strict=True)]
    assert sums[0] / sums[1] == pytest.approx(0.5)


def test_the_score_can_be_the_mean_class_accuracy() -> None:
    assert tiny_config().columns_among(())[-1] == "val_accuracy"
    assert tiny_config(score="mean_class_accuracy").columns_among(())[-1] == "val_mean_class_accuracy"


def test_what_is_learnt_at_once_counts_classes_alike() -> None:
    videos = [video(0, value) for value in range(9)] + [video(1, 20.0)]
    preprocess = PreprocessConfig(clip_length=2, clip_stride=1)
    (plain,) = _all_clips(videos, preprocess, balance=False)
    assert plain.weights.sum().item() == pytest.approx(10)
    (even,) = _all_clips(videos, preprocess, balance=True)
    for label in range(2):
        assert even.weights[even.targets == label].sum().item() == pytest.approx(5)


def test_every_view_is_learnt_from_and_all_of_a_video_count_as_one() -> None:
    seen = [np.full((3, 1), value, np.float32) for value in range(3)]
    videos = [FeatureVideo(0, 3, (seen[0], seen[1])), FeatureVideo(1, 3, (seen[2],))]
    (clips,) = _all_clips(videos, PreprocessConfig(clip_length=2, clip_stride=1), balance=False)
    assert clips.features[:, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert clips.targets.tolist() == [0, 0, 0, 0, 1, 1]
    assert clips.weights.tolist() == [0.25] * 4 + [0.5] * 2


@pytest.mark.parametrize(
    ("counts", "setting", "expected", "says"),
    [
        ((10, 2), None, True, "classes have 2 to 10 training clips: all count alike (--no-balance-classes"),
        ((9, 2), None, False, ""),
        ((10, 2), False, False, ""),
        ((9, 2), True, True, ""),
    ],
)
def test_classes_count_alike_where_one_has_five_times_the_clips_of_another(
    counts: tuple[int, int], setting: bool | None, expected: bool, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = tuple(
        RecognitionExample(Path(f"{label}{number}.avi"), label, "train")
        for label, count in zip(("sit", "run"), counts, strict=True)
        for number in range(count)
    )
    data = RecognitionData(("run", "sit"), examples, "clips")
    assert _balances(tiny_config(balance_classes=setting), data, Narrator()) is expected
    told = capsys.readouterr().err
    assert says in told
    assert bool(told) is bool(says)
    pieces = tuple(replace(example, within=(0.0, 9.0)) for example in examples)
    assert _balances(tiny_config(balance_classes=setting), replace(data, examples=pieces), Narrator()) is bool(setting)
