"""Clips of one source video belong together: find their group, divide by it, notice where it is torn apart."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lrcn.data.named_files import video_stem
from lrcn.data.problems import first_of
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.errors import ConfigError, DataError

_CLIP_NAMES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(.+_g\d+)_c\d+",  # UCF-101: v_Archery_g08_c01
        r"(.+)_[a-z]_[cn]m_np\d+_(?:ba|fr|le|ri)_(?:bad|goo|med)_\d+",  # HMDB-51: April_09_brush_hair_u_nm_np1_ba_goo_0
        r"(.+)_\d{6}_\d{6}",  # Kinetics: <id>_000010_000020
        r"(.+)[-_. ](?:c|clip|part|scene|seg|segment|shot)[-_. ]?\d+",
        r"(.+)-\d+",
    )
]
"""File names of clips; the first group is the source video."""


def source_of(path: Path) -> str | None:
    """Return the source video that a clip's file name points to: `v_Archery_g08` for `v_Archery_g08_c01.avi`."""
    stem = video_stem(path)
    for pattern in _CLIP_NAMES:
        if match := pattern.fullmatch(stem):
            return match[1]
    return None


def with_groups(examples: Sequence[RecognitionExample], root: Path) -> tuple[list[RecognitionExample], list[str]]:
    """Return the examples with every empty group filled in from the file name, and warnings.

    A file whose name points to no source is a group of its own, named by its path below `root`. Where all names of a
    class point to one source (`jump-1`, `jump-2`, ...), the numbers are taken to count videos, not clips of one, and
    each file is a group of its own.
    """
    files: dict[str, set[Path]] = defaultdict(set)
    sources: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        files[example.label].add(example.path)
        sources[example.label].add(source_of(example.path) or example.path.as_posix())
    counted = {label for label in files if len(files[label]) > 1 and len(sources[label]) == 1}
    grouped, warned = [], set()
    for example in examples:
        source = source_of(example.path)
        if example.group:
            grouped.append(example)
            continue
        if source is not None and example.label in counted:
            warned.add(f"the files of {example.label!r} are taken as videos of their own, not as clips of {source!r}")
            source = None
        grouped.append(replace(example, group=source or _below(root, example.path)))
    remedy = "; a group column in annotations.csv says otherwise"
    return grouped, [first_of(sorted(warned)) + remedy] if warned else []


def divide_train(
    examples: Iterable[RecognitionExample], *, val_fraction: float, seed: int
) -> tuple[list[RecognitionExample], list[str]]:
    """Move whole groups from `train` to `val`, class by class, and return warnings besides.

    Every class keeps at least one group in `train`, and gives at least one if it has two. Which ones follows from
    `seed` and the groups' names alone, not from the order of the examples.

    Args:
        examples: With groups filled in.
        val_fraction: Share of each class's clips to move, from 0 (none) to below 1; met as nearly as whole groups
            allow without passing it, if they allow it at all.
        seed: Another one gives another division.

    Raises:
        ConfigError: If `val_fraction` is out of range.
    """
    examples = list(examples)
    if not 0 <= val_fraction < 1:
        raise ConfigError(f"val_fraction must be in [0, 1), got {val_fraction}")
    if val_fraction == 0:
        return examples, []
    clips: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))  # label -> group -> number of clips
    for example in examples:
        if example.split == "train":
            clips[example.label][example.group] += 1

    moved: dict[str, bool] = {}  # group -> whether it goes to val; a group of two classes goes with the first
    alone = []
    for label in sorted(clips):
        sizes = clips[label]
        if len(sizes) == 1:
            alone.append(label)
        total = sum(sizes.values())
        target = min(max(1, round(val_fraction * total)), total - 1)
        taken = sum(size for group, size in sizes.items() if moved.get(group))
        free = sorted((group for group in sizes if group not in moved), key=lambda group: _shuffled(seed, group))
        for group in free:
            moved[group] = taken + sizes[group] <= target
            taken += sizes[group] * moved[group]
        if taken == 0 and len(sizes) > 1 and free:
            moved[min(free, key=lambda group: sizes[group])] = True
    divided = [replace(e, split="val") if e.split == "train" and moved[e.group] else e for e in examples]
    warnings = [f"no clip for validation, because all clips are of one video: class {first_of(alone)}"] if alone else []
    return divided, warnings


def grouped_folds(examples: Sequence[RecognitionExample], *, most: int, seed: int) -> list[list[RecognitionExample]]:
    """Divide examples into folds of whole groups, with classes spread over them as evenly as groups allow.

    The division follows from `seed` and the groups' names and sizes, not from the order of the examples.

    Args:
        examples: With groups filled in.
        most: How many folds to make, if there are as many groups; else one for each group.
        seed: Decides between groups of one size.

    Raises:
        DataError: If a class has examples of one group only: no fold could be held out without losing it.
    """
    sizes: dict[str, Counter[str]] = defaultdict(Counter)  # group -> label -> number of examples
    groups: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        sizes[example.group][example.label] += 1
        groups[example.label].add(example.group)
    alone = [f"{label!r} ({next(iter(found))!r})" for label, found in sorted(groups.items()) if len(found) == 1]
    if alone:
        raise DataError(
            f"all clips of one source: class {first_of(alone)}; sources are held out in turn, so each class needs two "
            "or more: add clips, or say in a group column of annotations.csv which belong together"
        )
    of_class = Counter(example.label for example in examples)
    folds: list[Counter[str]] = [Counter() for _ in range(min(most, len(sizes)))]
    fold_of: dict[str, int] = {}
    for group in sorted(sizes, key=lambda group: (-sizes[group].total(), _shuffled(seed, group))):
        added = sizes[group]

        def cost(number: int, added: Counter[str] = added) -> tuple[float, int]:
            crowd = sum(count * folds[number][label] / of_class[label] ** 2 for label, count in added.items())
            return crowd, folds[number].total()  # an empty fold comes first

        fold_of[group] = min(range(len(folds)), key=cost)
        folds[fold_of[group]] += added
    divided: list[list[RecognitionExample]] = [[] for _ in folds]
    for example in examples:
        divided[fold_of[example.group]].append(example)
    return divided


def torn_groups(examples: Iterable[RecognitionExample]) -> list[str]:
    """Return one line for each group that lies in more than one split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        splits[example.group].add(example.split)
    return [
        f"clips of {group!r} are in {' and '.join(sorted(found))}"
        for group, found in sorted(splits.items())
        if len(found) > 1
    ]


def _below(root: Path, path: Path) -> str:
    own = path.with_name(video_stem(path))
    return (own.relative_to(root) if own.is_relative_to(root) else own).as_posix()


def _shuffled(seed: int, group: str) -> bytes:
    return hashlib.sha256(f"{seed}/{group}".encode(errors="surrogateescape")).digest()
