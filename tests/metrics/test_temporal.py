"""Scores of bouts against ActivityNet's, Lea's and the frame-wise definitions written out, and against common sense."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from tests.metrics.annotated import END_S, LABELS, bout, finished, in_turn, looked_at, pairs_of, recording, sure_bout

from lrcn.bouts import Bout
from lrcn.metrics.bout_matching import edit_distance
from lrcn.metrics.recording_pairs import Pair
from lrcn.metrics.temporal import F1_IOUS, MAP_IOUS, TemporalScores, tally, temporal_scores


def _iou(one: Bout, other: Bout) -> float:
    common = max(0.0, min(one.end_s, other.end_s) - max(one.start_s, other.start_s))
    return common / (one.duration_s + other.duration_s - common)


def _activitynet_ap(pairs: list[Pair], label: str, least: float) -> float:
    """ActivityNet's average precision of a class at an IoU, as its challenge's evaluation is written."""
    truths = [(video, one) for video, pair in enumerate(pairs) for one in pair.truth.bouts if one.label == label]
    found = [
        (video, one)
        for video, pair in enumerate(pairs)
        for one in sorted(pair.other.bouts, key=lambda b: (b.start_s, b.end_s))
        if one.label == label
    ]
    locked: set[int] = set()
    right = []
    for video, one in sorted(found, key=lambda row: -(row[1].prob or 0)):
        near = [(_iou(one, true), -place) for place, (where, true) in enumerate(truths) if where == video]
        for iou, minus_place in sorted(near, reverse=True):
            if iou < least:
                right.append(0)
                break
            if -minus_place not in locked:
                locked.add(-minus_place)
                right.append(1)
                break
        else:
            right.append(0)
    recall = [0.0, *np.cumsum(right) / len(truths), 1.0]
    precision = [0.0, *np.cumsum(right) / np.arange(1, len(right) + 1), 0.0]
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))


@settings(max_examples=40)
@given(pairs_of(finished))
def test_map_is_that_of_activitynet(pairs: list[Pair]) -> None:
    pairs = [_ordered(pair) for pair in pairs]
    scores = temporal_scores(pairs, LABELS)
    present = [label for label in LABELS if scores.classes[label].true_bouts]
    for least in MAP_IOUS:
        expected = {label: _activitynet_ap(pairs, label, least) for label in present}
        for label in LABELS:
            assert scores.classes[label].ap[least] == pytest.approx(expected.get(label, math.nan), nan_ok=True)
        mean = np.mean(list(expected.values())) if present else math.nan
        assert scores.map_at[least] == pytest.approx(mean, nan_ok=True)


def _ordered(pair: Pair) -> Pair:
    """With bouts in the order in which ties are told apart."""
    views = (
        replace(view, bouts=tuple(sorted(view.bouts, key=lambda b: (b.start_s, b.end_s, b.label)))) for view in pair
    )
    return Pair(*views)


def _segments(frames: list[str]) -> list[tuple[str, int, int]]:
    found, place = [], 0
    for label, run in groupby(frames):
        length = len(list(run))
        if label != "background":
            found.append((label, place, place + length))
        place += length
    return found


def _frames(bouts: list[Bout]) -> list[str]:
    frames = ["background"] * END_S
    for one in bouts:
        frames[int(one.start_s) : int(one.end_s)] = [one.label] * int(one.duration_s)
    return frames


def _as_bouts(frames: list[str]) -> list[Bout]:
    return [Bout(label, float(start), float(end)) for label, start, end in _segments(frames)]


exclusive = st.lists(bout, max_size=6).map(lambda bouts: _frames(in_turn(bouts)))


@settings(max_examples=40)
@given(st.lists(st.tuples(exclusive, exclusive), min_size=1, max_size=3))
def test_scores_of_exclusive_labels_are_those_of_frame_wise_labels(videos: list[tuple[list[str], list[str]]]) -> None:
    """Segmental F1 and edit score as MS-TCN's evaluation describes them, and scikit-learn's frame-wise figures."""
    spans = ((0.0, float(END_S)),)
    pairs = [Pair(recording(_as_bouts(true), spans), recording(_as_bouts(found), None)) for true, found in videos]
    scores = temporal_scores(pairs, LABELS, tick_s=1.0)
    for least in F1_IOUS:
        right = wrong = missed = 0
        for true, found in videos:
            truths, hits = _segments(true), set()
            for label, start, end in _segments(found):
                ious = [
                    max(0, min(end, b) - max(start, a)) / (max(end, b) - min(start, a)) * (label == name)
                    for name, a, b in truths
                ]
                best = max(range(len(ious)), key=ious.__getitem__, default=None)
                if best is not None and ious[best] >= least and best not in hits:
                    hits.add(best)
                    right += 1
                else:
                    wrong += 1
            missed += len(truths) - len(hits)
        expected = 2 * right / (2 * right + wrong + missed) if right + wrong + missed else math.nan
        assert scores.f1_at[least] == pytest.approx(expected, nan_ok=True)
    edits = []
    for true, found in videos:
        one, other = ([label for label, _, _ in _segments(side)] for side in (true, found))
        edits.append(1 - edit_distance(one, other) / max(len(one), len(other), 1))
    assert scores.edit == pytest.approx(np.mean(edits))
    true_frames, found_frames = ([label for video in videos for label in video[side]] for side in (0, 1))
    assert scores.accuracy == pytest.approx(accuracy_score(true_frames, found_frames))
    figures = precision_recall_fscore_support(true_frames, found_frames, labels=LABELS, zero_division=math.nan)
    for place, label in enumerate(LABELS):
        one = scores.classes[label]
        assert (one.precision, one.recall, one.f1) == pytest.approx([f[place] for f in figures[:3]], nan_ok=True)


@settings(max_examples=40)
@given(pairs_of(looked_at))
def test_ticks_of_overlapping_bouts_are_counted_one_by_one(pairs: list[Pair]) -> None:
    scores = temporal_scores(pairs, LABELS, tick_s=1.0)
    counts = {label: [0, 0, 0] for label in LABELS}
    equal = known = 0
    for truth, other in pairs:
        for second in range(END_S):
            true, found = (
                {one.label for one in view.bouts if one.start_s <= second < one.end_s} for view in (truth, other)
            )
            if not true and not any(start <= second < end for start, end in truth.looked_at or ()):
                continue
            known += 1
            equal += true == found
            for label, count in counts.items():
                count[0] += label in true and label in found
                count[1] += label in found
                count[2] += label in true
    assert scores.known_s == known
    assert scores.accuracy == pytest.approx(equal / known if known else math.nan, nan_ok=True)
    for label, (both, found, true) in counts.items():
        assert scores.classes[label].precision == pytest.approx(both / found if found else math.nan, nan_ok=True)
        assert scores.classes[label].recall == pytest.approx(both / true if true else math.nan, nan_ok=True)


def _figures(scores: TemporalScores) -> list[float]:
    return [*scores.map_at.values(), *scores.f1_at.values(), scores.edit, scores.accuracy, scores.bouts_per_true_bout]


@settings(max_examples=40)
@given(st.lists(bout, min_size=1, max_size=6), looked_at)
def test_the_truth_itself_is_perfect(true: list[Bout], spans) -> None:
    truth = recording(list(dict.fromkeys(true)), spans)
    assert _figures(temporal_scores([Pair(truth, replace(truth, looked_at=None))])) == [1.0] * 13


@settings(max_examples=40)
@given(pairs_of(looked_at), st.integers(1, 9), st.permutations(LABELS))
def test_later_and_otherwise_named_bouts_score_the_same(pairs: list[Pair], shift: int, names: list[str]) -> None:
    renamed = dict(zip(LABELS, names, strict=True))
    moved = [
        Pair(
            *(
                replace(
                    view,
                    bouts=tuple(
                        replace(b, label=renamed[b.label], start_s=b.start_s + shift, end_s=b.end_s + shift)
                        for b in view.bouts
                    ),
                    looked_at=view.looked_at and tuple((start + shift, end + shift) for start, end in view.looked_at),
                    duration_s=END_S + shift,
                )
                for view in pair
            )
        )
        for pair in pairs
    ]
    before, after = (temporal_scores(some, LABELS, tick_s=1.0) for some in (pairs, moved))
    if names == list(LABELS):
        assert _figures(after) == pytest.approx(_figures(before), nan_ok=True)
    assert after.f1_at == pytest.approx(before.f1_at, nan_ok=True)
    assert after.map_at == pytest.approx(before.map_at, nan_ok=True)
    assert after.accuracy == pytest.approx(before.accuracy, nan_ok=True)


@settings(max_examples=40)
@given(pairs_of(looked_at), st.lists(sure_bout, max_size=3))
def test_what_is_predicted_where_nobody_looked_changes_nothing(pairs: list[Pair], more: list[Bout]) -> None:
    """Bouts after the end of what is known, where the recording goes on."""
    longer = [Pair(replace(truth, duration_s=END_S + 60.0), other) for truth, other in pairs]
    longer = [pair for pair in longer if not any(end > END_S for _, end in pair.truth.looked_at or ())]
    late = [replace(one, start_s=one.start_s + END_S, end_s=one.end_s + END_S) for one in more]
    added = [Pair(truth, replace(other, bouts=(*other.bouts, *late))) for truth, other in longer]
    before, after = (temporal_scores(some, LABELS) for some in (longer, added))
    np.testing.assert_equal(after.to_dict(), before.to_dict())


def test_a_bout_in_two_pieces_scores_less() -> None:
    truth = recording([Bout("a", 0.0, 10.0), Bout("b", 20.0, 30.0)], ((0.0, 40.0),))
    whole = recording([Bout("a", 0.0, 10.0, prob=0.9), Bout("b", 20.0, 30.0, prob=0.8)], None)
    split = recording(
        [Bout("a", 0.0, 5.0, prob=0.9), Bout("a", 5.0, 10.0, prob=0.9), Bout("b", 20.0, 30.0, prob=0.8)], None
    )
    best, worse = (temporal_scores([Pair(truth, other)]) for other in (whole, split))
    assert worse.accuracy == best.accuracy == 1.0  # frames do not tell
    assert worse.bouts_per_true_bout == 1.5
    assert worse.f1_at[0.5] == pytest.approx(0.8)
    assert worse.edit == pytest.approx(2 / 3)
    assert worse.map_at[0.6] == 0.5
    assert worse.map_at[0.5] == 1.0  # the half that is right comes first


def test_a_wrong_bout_beyond_what_is_known_is_wrong_only_where_most_of_it_is_known() -> None:
    truth = recording([Bout("a", 0.0, 10.0)], None)

    def score(end_s: float) -> TemporalScores:
        other = recording([Bout("a", 0.0, 10.0), Bout("b", 8.0, end_s)], None)
        return temporal_scores([Pair(truth, other)], ("a", "b"))

    assert score(11.0).f1_at[0.5] == pytest.approx(2 / 3)
    assert score(11.0).bouts_per_true_bout == 2.0
    assert score(30.0).f1_at[0.5] == 1.0
    assert score(30.0).bouts_per_true_bout == 1.0
    assert score(30.0).classes["b"].precision == 0.0  # its ticks in known time are wrong all the same


def test_nothing_to_count_is_nan_and_none_in_json() -> None:
    empty = recording([], ((0.0, 40.0),))
    scores = temporal_scores([Pair(empty, empty)], ["a"])
    assert math.isnan(scores.map_at[0.5])
    assert math.isnan(scores.f1_at[0.5])
    assert (scores.edit, scores.accuracy) == (1.0, 1.0)
    said = json.loads(json.dumps(scores.to_dict()))
    assert said["map_at"]["0.5"] is None
    assert said["classes"]["a"]["recall"] is None
    assert temporal_scores([], ["a"]).num_recordings == 0


def test_one_recording_alone_is_its_tally() -> None:
    pair = Pair(recording([Bout("a", 0.0, 10.0)], None, "first"), recording([Bout("a", 0.0, 5.0)], None))
    one = tally(pair, ["a"], tick_s=1.0)
    assert (one.name, one.right_ticks, one.num_ticks) == ("first", 5, 10)
    assert one.ticks.tolist() == [[5, 5, 10]]
