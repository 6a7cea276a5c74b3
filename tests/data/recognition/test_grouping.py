"""Clips of one source video stay in one split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.recognition.folders import by_split, touch

from lrcn.data.recognition.grouping import divide_train, grouped_folds, source_of, torn_groups, with_groups
from lrcn.data.recognition.readers import (
    RecognitionExample,
    read_recognition_data,
)
from lrcn.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("v_Archery_g08_c01.avi", "v_Archery_g08"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "April_09_brush_hair"),
        ("-aB_1_000010_000020.mp4", "-aB_1"),
        ("kitchen_clip03.mp4", "kitchen"),
        ("kitchen-seg-12.mov", "kitchen"),
        ("kitchen_c3", "kitchen"),
        ("kitchen-7.mp4", "kitchen"),
        ("20240115_101530.mp4", None),
        ("IMG_0001.MOV", None),
        ("walk3.mp4", None),
        ("c01.mp4", None),
        ("-7.mp4", None),
    ],
)
def test_source_video_from_a_clip_name(name: str, source: str | None) -> None:
    assert source_of(Path(name)) == source


def test_numbered_videos_are_not_taken_for_clips_of_one(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"jump/jump-{number}.mp4" for number in range(5)), *(f"run/{c}-{n}.mp4" for c in "ab" for n in "12")
    )
    data = read_recognition_data(tmp_path)
    assert Counter(e.label for e in data.split("val")) == {"jump": 1, "run": 2}
    assert {e.group for e in data.examples if e.label == "run"} == {"a", "b"}
    assert any("taken as videos of their own, not as clips of 'jump'" in warning for warning in data.warnings)


def test_clips_of_one_video_in_two_splits_are_warned_of(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/x_clip1.mp4", "train/run/y.mp4", "test/run/x_clip2.mp4", "val/run/z.mp4")
    assert any("clips of 'x' are in test and train" in warning for warning in read_recognition_data(tmp_path).warnings)


def test_division_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    names = [f"{label}/{number}.mp4" for label in ("a", "b") for number in range(20)]
    divisions = [
        by_split(read_recognition_data(touch(root, *names)), root)
        for root in (tmp_path / "one", tmp_path / "two" / "x")
    ]
    assert divisions[0] == divisions[1]
    assert by_split(read_recognition_data(tmp_path / "one", seed=1), tmp_path / "one") != divisions[0]


def test_class_of_one_video_stays_in_train(tmp_path: Path) -> None:
    touch(tmp_path, "a/only.mp4", "b/1.mp4", "b/2.mp4")
    data = read_recognition_data(tmp_path)
    assert Counter((e.split, e.label) for e in data.examples) == {("train", "a"): 1, ("train", "b"): 1, ("val", "b"): 1}
    assert any("class a" in warning for warning in data.warnings)


@pytest.mark.parametrize("val_fraction", [-0.1, 1.0, float("nan")])
def test_share_out_of_range_is_refused(val_fraction: float) -> None:
    with pytest.raises(ConfigError, match="val_fraction"):
        divide_train([], val_fraction=val_fraction, seed=0)


clips = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8)), min_size=1, max_size=60)


@given(clips=clips, val_fraction=st.floats(0.01, 0.9), seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_division_respects_groups_classes_and_share(
    clips: list[tuple[str, int]], val_fraction: float, seed: int, order: object
) -> None:
    examples = [
        RecognitionExample(Path(f"{label}{group}_{i}.mp4"), label, "train", group=f"{label}{group}")
        for i, (label, group) in enumerate(clips)
    ]
    divided, warnings = divide_train(examples, val_fraction=val_fraction, seed=seed)
    assert [e.path for e in divided] == [e.path for e in examples]
    assert torn_groups(divided) == []
    for label in {e.label for e in examples}:
        sizes = Counter(e.group for e in examples if e.label == label)
        in_val = sum(e.split == "val" for e in divided if e.label == label)
        if len(sizes) == 1:
            assert in_val == 0
            assert any(label in warning for warning in warnings) or len(warnings) == 1
        else:
            assert 0 < in_val < sum(sizes.values())
            assert in_val <= max(1, round(val_fraction * sum(sizes.values())), min(sizes.values()))
    shuffled = list(examples)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    again, _ = divide_train(shuffled, val_fraction=val_fraction, seed=seed)
    assert {e.path: e.split for e in again} == {e.path: e.split for e in divided}


def test_video_of_two_classes_is_not_torn() -> None:
    examples = [
        RecognitionExample(Path(f"{number}.mp4"), label, "train", start_s=start_s)
        for number in range(10)
        for label, start_s in (("a", 0.0), ("b", 5.0))
    ]
    grouped, _ = with_groups(examples, Path("."))
    divided, _ = divide_train(grouped, val_fraction=0.2, seed=0)
    assert torn_groups(divided) == []
    assert Counter(e.label for e in divided if e.split == "val") == {"a": 2, "b": 2}


# ---- folds


def examples_of(clips: list[tuple[str, str]]) -> list[RecognitionExample]:
    """One example for each group and class."""
    return [RecognitionExample(Path(f"{i}.mp4"), label, "train", group=group) for i, (group, label) in enumerate(clips)]


CLIPS = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from(("walk", "run"))), min_size=4, max_size=60)


@given(CLIPS, st.integers(2, 6), st.integers(0, 5))
def test_folds_are_of_whole_groups_and_none_is_empty(clips: list[tuple[str, str]], most: int, seed: int) -> None:
    examples = examples_of(clips)
    groups = {label: {g for g, other in clips if other == label} for _, label in clips}
    if any(len(found) == 1 for found in groups.values()):
        with pytest.raises(DataError, match="all clips of one source"):
            grouped_folds(examples, most=most, seed=seed)
        return
    folds = grouped_folds(examples, most=most, seed=seed)
    assert len(folds) == min(most, len({group for group, _ in clips}))
    assert all(folds)
    assert sorted(e.path for fold in folds for e in fold) == sorted(e.path for e in examples)
    where = Counter(group for fold in folds for group in {example.group for example in fold})
    assert set(where.values()) == {1}
    backwards = grouped_folds(examples[::-1], most=most, seed=seed)
    assert [set(fold) for fold in backwards] == [set(fold) for fold in folds]


def test_classes_are_spread_over_the_folds() -> None:
    groups = [(f"{label}{number}", label) for label in ("fight", "calm") for number in range(10)]
    folds = grouped_folds(examples_of([pair for pair in groups for _ in range(3)]), most=5, seed=0)
    assert [Counter(example.label for example in fold) for fold in folds] == [{"fight": 6, "calm": 6}] * 5


def test_another_seed_gives_other_folds() -> None:
    examples = examples_of([(f"g{number}", label) for label in ("fight", "calm") for number in range(10)])
    first, same, other = (grouped_folds(examples, most=5, seed=seed) for seed in (0, 0, 1))
    assert first == same
    assert first != other
