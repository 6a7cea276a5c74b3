"""Recordings to splits: whole recordings by their groups, or, where there are few, each of them in time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lrcn.bouts import BACKGROUND, Recording, Span
from lrcn.data.recognition.cutting import Stretch, clipped, known_spans, shown_pieces
from lrcn.errors import ConfigError, DataError

TEST_SHARE = 0.2
"""Where the annotation gives no split."""

LEAST_GROUPS = 5
"""Groups from which on whole recordings are divided."""

GAP_S = 2.0
"""Between two splits of one recording, so that what ends in one is over in the next; of short ones a twentieth."""

_TRIALS = 200
"""Random divisions, of which the one is taken that gives each split its share of each class most nearly."""

_Shares = Mapping[str, float]
"""Split -> its share of the time, 0-1."""
_Amounts = Counter[tuple[str, str]]
"""Split and class -> seconds."""


def divided(
    recordings: Sequence[Recording], *, several: bool, val_fraction: float, seed: int
) -> tuple[list[Stretch], list[str]]:
    """Return the recordings with their splits, and warnings.

    Where the annotation gives no split, a fifth becomes `test`, `val_fraction` becomes `val` and the rest `train`;
    where it gives `train` and no `val`, `val_fraction` of `train` becomes `val`. With `LEAST_GROUPS` groups or more
    whole groups are divided, else each recording in time, with a gap between. The same recordings and seed give the
    same splits.

    Args:
        recordings: Of known length, each of another file.
        several: As for `shown_pieces`.
        val_fraction: See above; 0 for no `val`.
        seed: Another one may give another division.

    Raises:
        ConfigError: If `val_fraction` leaves nothing to train on.
        DataError: If some of the recordings have a split and others do not.
    """
    without = [recording for recording in recordings if not recording.split]
    if without and len(without) < len(recordings):
        raise DataError(
            f"{len(without)} of {len(recordings)} recordings have no split, the first: {without[0].name}; give each "
            "of them one, or none"
        )
    given = {recording.split for recording in recordings}
    shares = {"train": 1 - val_fraction, "val": val_fraction}
    if without:
        shares = {"train": 1 - TEST_SHARE - val_fraction, "val": val_fraction, "test": TEST_SHARE}
    if not (val_fraction >= 0 and shares["train"] > 1e-9):
        raise ConfigError(
            f"val_fraction must be from 0 to below {1 - TEST_SHARE if without else 1:g}: {val_fraction:g}"
        )
    shares = {split: share for split, share in shares.items() if share}
    is_to_do = {"": True, "train": len(shares) > 1 and "val" not in given}
    to_do = [recording for recording in recordings if is_to_do.get(recording.split, False)]
    stretches = [
        Stretch(recording, _whole(recording), group_of(recording))
        for recording in recordings
        if not is_to_do.get(recording.split, False)
    ]
    if not to_do:
        return stretches, []
    groups = sorted({group_of(recording) for recording in to_do})
    rng = np.random.default_rng(seed)
    if len(groups) >= LEAST_GROUPS:
        found = _by_group(to_do, groups, shares, several, rng)
        held = [
            f"{split}: {', '.join(one.recording.name for one in found if one.recording.split == split)}"
            for split in shares
            if split != "train"
        ]
        return stretches + found, [
            f"whole recordings are held out, for the annotation does not say which; {'; '.join(held)}"
        ]
    found = _by_time(to_do, shares, several, rng)
    what = f"recordings of {len(groups)} sources only" if len(groups) > 1 else "recordings of one source only"
    parts = ", ".join(f"{split} {share:.0%}" for split, share in shares.items())
    return stretches + found, [
        f"{what}: each is divided in time ({parts}), and scores will be too good, for training saw the same animals or "
        f"people; annotate {LEAST_GROUPS} or more, or say in the annotation which split each belongs to"
    ]


def group_of(recording: Recording) -> str:
    """Return whom a recording shows, as far as is known: no two splits should show the same."""
    return recording.group or str(recording.path)


def _whole(recording: Recording) -> Span:
    assert recording.duration_s is not None
    return 0.0, recording.duration_s


def _by_group(
    recordings: Sequence[Recording], groups: Sequence[str], shares: _Shares, several: bool, rng: np.random.Generator
) -> list[Stretch]:
    seconds = {group: Counter[str]() for group in groups}
    for recording in recordings:
        seconds[group_of(recording)] += _seconds(recording, several)
    total_s = sum(counts.total() for counts in seconds.values())
    best: tuple[float, dict[str, str]] | None = None
    for _ in range(_TRIALS):
        left = [groups[number] for number in rng.permutation(len(groups))]
        split_of: dict[str, str] = {}
        for split, share in shares.items():
            if split == "train":
                continue
            taken_s = 0.0
            while (
                left and (not taken_s or taken_s + seconds[left[-1]].total() / 2 <= share * total_s) and len(left) > 1
            ):
                group = left.pop()
                split_of[group] = split
                taken_s += seconds[group].total() or 1e-9
        split_of |= dict.fromkeys(left, "train")
        amounts: _Amounts = Counter()
        for group, split in split_of.items():
            _add(amounts, split, seconds[group])
        cost = _cost(amounts, shares)
        if best is None or cost < best[0]:
            best = cost, split_of
    assert best is not None
    return [
        Stretch(clipped(one, _whole(one), best[1][group_of(one)]), _whole(one), group_of(one)) for one in recordings
    ]


def _by_time(
    recordings: Sequence[Recording], shares: _Shares, several: bool, rng: np.random.Generator
) -> list[Stretch]:
    """Divide each recording in time; in which order its splits come is chosen so that each has all classes.

    The order is one for all recordings of a group: two cameras see the same moment, which must not be in two splits.
    """
    orders = list(itertools.permutations(shares))
    ways = [[_in_order(recording, order, shares) for order in orders] for recording in recordings]
    seconds = [
        [[(one.recording.split, _seconds(one.recording, several)) for one in way] for way in of_one] for of_one in ways
    ]
    groups = list(dict.fromkeys(map(group_of, recordings)))
    place = [groups.index(group_of(recording)) for recording in recordings]
    best: tuple[float, list[int]] | None = None
    for trial in range(_TRIALS):
        drawn = rng.integers(len(orders), size=len(groups)).tolist() if trial else [0] * len(groups)
        chosen = [drawn[group] for group in place]
        amounts: _Amounts = Counter()
        for of_one, number in zip(seconds, chosen, strict=True):
            for split, counts in of_one[number]:
                _add(amounts, split, counts)
        cost = _cost(amounts, shares)
        if best is None or cost < best[0]:
            best = cost, chosen
    assert best is not None
    return [stretch for of_one, number in zip(ways, best[1], strict=True) for stretch in of_one[number]]


def _in_order(recording: Recording, order: Sequence[str], shares: _Shares) -> list[Stretch]:
    """Return the stretches of a recording in which each split has its share of what is known of it."""
    spans = known_spans(recording)
    lengths = np.array([end_s - start_s for start_s, end_s in spans])
    gap_s = min(GAP_S, lengths.sum() / 20)
    ends = lengths.cumsum()
    borders = [0.0]
    for share in np.cumsum([shares[split] for split in order])[:-1]:
        number = min(int(np.searchsorted(ends, share * ends[-1])), len(spans) - 1) if len(spans) else 0
        borders.append(spans[number][1] - float(ends[number] - share * ends[-1]) if len(spans) else 0.0)
    _, duration_s = _whole(recording)
    borders.append(duration_s)
    stretches = []
    for split, (start_s, end_s) in zip(order, itertools.pairwise(borders), strict=True):
        within = (start_s + gap_s / 2 * (start_s > 0), end_s - gap_s / 2 * (end_s < duration_s))
        if within[0] < within[1]:
            group = f"{group_of(recording)} ({split})"
            stretches.append(Stretch(clipped(recording, within, split), within, group))
    return stretches


def _seconds(recording: Recording, several: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    for start_s, end_s, labels in shown_pieces(recording.bouts, recording.looked_at, several=several):
        for label in labels or (BACKGROUND,):
            found[label] += end_s - start_s  # type: ignore[assignment]  # seconds, where typeshed counts in int
    return found


def _add(amounts: _Amounts, split: str, seconds: Mapping[str, float]) -> None:
    for label, seconds_s in seconds.items():
        amounts[split, label] += seconds_s  # type: ignore[assignment]  # seconds, where typeshed counts in int


def _cost(amounts: _Amounts, shares: _Shares) -> float:
    """Return how far each split is from its share of each class; a class that a split lacks costs most, in training."""
    labels = sorted({label for _, label in amounts})
    cost = 0.0
    for label in labels:
        total_s = sum(amounts[split, label] for split in shares)
        for split, share in shares.items():
            found = amounts[split, label] / total_s if total_s else 0.0
            cost += abs(found - share) + (0.0 if found else 1000.0 if split == "train" else 10.0)
    return cost
