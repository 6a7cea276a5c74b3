"""Examples of recordings against a count over ticks of a hundredth of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.bouts import BACKGROUND, Bout, Recording
from lrcn.data.recognition.cutting import Stretch, clipped, examples_of, frames_of
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.errors import MediaError

LENGTH_S = 40.0
TICKS = np.arange(0, LENGTH_S, 0.01) + 0.005

times = st.integers(0, 80).map(lambda half: half / 2)
spans = st.tuples(times, times).map(sorted).filter(lambda span: span[0] < span[1])
bouts = st.lists(st.builds(lambda label, span: Bout(label, *span), st.sampled_from("abc"), spans), min_size=1)


def stretch_of(own: list[Bout], looked_at: object, within: tuple[float, float] = (0.0, LENGTH_S)) -> Stretch:
    recording = Recording("one", Path("one.avi"), tuple(own), looked_at, LENGTH_S)  # type: ignore[arg-type]
    return Stretch(clipped(recording, within, "train"), within, "one")


def shown_at(time_s: float, own: list[Bout]) -> set[str]:
    return {bout.label for bout in own if bout.start_s <= time_s < bout.end_s}


@given(bouts, st.none() | st.lists(spans, min_size=1), spans, st.booleans())
def test_examples_show_what_the_bouts_say_at_every_tick(
    own: list[Bout], looked_at: list[tuple[float, float]] | None, within: tuple[float, float], several: bool
) -> None:
    stretch = stretch_of(own, None if looked_at is None else tuple(looked_at), within)
    covered: dict[int, str] = {}
    for example in examples_of([stretch], several=several):
        assert example.within == within
        assert example.end_s is not None
        for tick in np.flatnonzero((example.start_s <= TICKS) & (example.end_s > TICKS)).tolist():
            assert tick not in covered
            covered[tick] = example.label
    for tick, time_s in enumerate(TICKS.tolist()):
        shown = shown_at(time_s, own)
        is_known = bool(shown) if looked_at is None else any(start <= time_s < end for start, end in looked_at)
        if looked_at is not None and shown and not is_known:
            continue  # an annotator who labels what was not looked at contradicts himself
        if not within[0] <= time_s < within[1] or not is_known or (len(shown) > 1 and not several):
            assert tick not in covered
        else:
            assert covered[tick] == ("|".join(sorted(shown)) if several else next(iter(shown), BACKGROUND))


@given(bouts, st.integers(1, 20), st.integers(1, 12))
def test_clips_have_their_example_in_the_middle_and_stay_in_its_stretch(
    own: list[Bout], clip_length: int, fps: int
) -> None:
    within = (3.0, 37.0)
    times_s = np.arange(int(LENGTH_S * fps)) / fps
    inside = np.flatnonzero((times_s >= within[0]) & (times_s < within[1]))
    for example in examples_of([stretch_of(own, ((0.0, LENGTH_S),), within)], several=True):
        first, last = frames_of(example, times_s, clip_length)
        assert inside[0] <= first < last <= inside[-1] + 1
        assert last - first >= min(clip_length, len(inside))
        shown_s = times_s + 1e-3  # a frame may be shown that much before its time: thirds of bouts are no round numbers
        own_frames = np.flatnonzero((shown_s >= example.start_s) & (shown_s < example.end_s))
        assert set(own_frames) <= set(range(first, last))
        if first > inside[0] and last <= inside[-1] and len(own_frames):
            before, after = own_frames[0] - first, last - 1 - own_frames[-1]
            assert abs(before - after) <= 1
            assert max(before, after) <= max(clip_length // 4, -(-(clip_length - len(own_frames)) // 2))


def test_borders_set_by_hand_make_no_examples() -> None:
    own = [Bout("a", 1.0, 5.0), Bout("b", 4.95, 9.0), Bout("a", 9.2, 12.0), Bout("c", 20.0, 20.04)]
    for several in (False, True):
        examples = examples_of([stretch_of(own, ((0.0, 30.0),))], several=several)
        named = [(e.label, e.start_s, e.end_s) for e in examples if e.label in ("a", "b", "c", "a|b")]
        assert named == [("a", 1.0, 4.95), ("b", 5.0, 9.0), ("a", 9.2, 12.0), ("c", 20.0, 20.04)]
        assert not any(9.0 <= e.start_s < 9.2 for e in examples)


def test_long_bouts_become_several_examples_and_background_no_more_of_them_than_all_else() -> None:
    own = [Bout("a", 100.0, 125.0), Bout("b", 200.0, 200.5)]
    recording = Recording("one", Path("one.avi"), tuple(own), ((0.0, 1000.0),), 1000.0)
    examples = examples_of([Stretch(clipped(recording, (0.0, 1000.0), "train"), (0.0, 1000.0), "one")], several=False)
    assert [e.end_s - e.start_s for e in examples if e.label == "a"] == pytest.approx([25 / 3] * 3)  # type: ignore[operator]
    nothing = [e for e in examples if e.label == BACKGROUND]
    assert len(nothing) <= 4 + 2
    assert sum((e.end_s or 0) - e.start_s for e in nothing) == pytest.approx(1000 - 25.5)


def test_stretch_after_the_end_of_the_file_is_said() -> None:
    example = RecognitionExample(Path("one.avi"), "a", "train", 12.0, 13.0, within=(10.0, 20.0))
    with pytest.raises(MediaError, match=r"one.avi: ends at 4.9 s, and 'a' is said to be after that"):
        frames_of(example, np.arange(50) / 10, 16)


def test_what_lies_past_the_last_frame_of_a_file_cut_short_is_not_taught() -> None:
    times_s = np.arange(579) / 10  # of a file that says it lasts 120 s
    late = RecognitionExample(Path("cut.mp4"), "a", "train", 90.0, 95.0, within=(0.0, 120.0))
    with pytest.raises(MediaError, match=r"cut.mp4: ends at 57.8 s, and 'a' is said to be after that"):
        frames_of(late, times_s, 16)
    last_moment = RecognitionExample(Path("cut.mp4"), "a", "train", 57.85, 57.9, within=(0.0, 120.0))
    assert frames_of(last_moment, times_s, 16) == (563, 579)
