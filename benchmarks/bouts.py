"""How well are bouts found whose borders are known? Recordings joined from the held-out clips of a set, one table.

    python -m benchmarks.bouts DATA --model demo --recordings 200 --json FILE

Clips of `test` follow each other without anything in between, never two of one class, in the order that
`joined_recordings` draws, but joined after the CNN: that takes minutes in place of an hour, and differs by the video's
compression only. How bouts are found is fitted on recordings joined from clips of `val`. Needs a frozen backbone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.joined_recordings import draw_sequences
from lrcn import model_file
from lrcn.bouts import BACKGROUND, Bout, Recording, overlap_s
from lrcn.config import BoutSettings, RecognitionHeader
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.features import Part
from lrcn.files import write_json
from lrcn.inference.recognition.bout_fitting import KnownRecording, fit_bout_settings
from lrcn.inference.recognition.bouts import FoundBouts, default_settings, doubt, frame_doubt, frame_probs
from lrcn.metrics.recording_pairs import Pair
from lrcn.metrics.temporal import temporal_scores
from lrcn.models.recognition import RecognitionModel
from lrcn.training.features import EncodedVideos
from lrcn.training.progress import Narrator
from lrcn.training.recognition.bouts import RecordingFeatures, recording_windows
from lrcn.video.views import CENTER_VIEW

LEAST_CERTAIN = 0.2
"""Share of windows, or bouts, that a person looks at."""


@dataclass(frozen=True)
class Said:
    """What a model says of a joined recording."""

    truth: Recording
    found: FoundBouts
    """With the settings that follow from the length of clips."""


def join(
    clips: Sequence[RecognitionExample], encoded: EncodedVideos, *, recordings: int, length: int, fps: float, seed: int
) -> list[RecordingFeatures]:
    """Return the features of recordings of `length` clips each, and their bouts."""
    rows = [encoded.get(_part(clip)).views[0] for clip in clips]
    features = [np.load(each) if isinstance(each, Path) else each for each in rows]
    joined = []
    sequences = draw_sequences([clip.label for clip in clips], recordings, length, np.random.default_rng(seed))
    for number, sequence in enumerate(sequences):
        borders = np.cumsum([0, *(len(features[clip]) for clip in sequence)]) / fps
        bouts = tuple(
            Bout(clips[clip].label, float(start_s), float(end_s))
            for clip, start_s, end_s in zip(sequence, borders[:-1], borders[1:], strict=True)
        )
        end_s = float(borders[-1])
        truth = Recording(f"{number:04d}", None, bouts, looked_at=((0.0, end_s),), duration_s=end_s)
        frames = np.concatenate([features[clip] for clip in sequence])
        joined.append(RecordingFeatures(truth, FeatureVideo(0, len(frames), (frames,)), np.arange(len(frames)) / fps))
    return joined


def say(
    joined: Sequence[RecordingFeatures], header: RecognitionHeader, model: RecognitionModel, device: torch.device
) -> list[Said]:
    """Let a model look at the recordings."""
    rules = default_settings(replace(header, bouts=None))
    with torch.inference_mode():
        return [
            Said(one.truth, FoundBouts(recording_windows(one, header, model, device), rules, header.labels, True))
            for one in joined
        ]


def figures(said: Sequence[Said], rules: BoutSettings) -> dict[str, float]:
    """Return the scores of bouts that are found by these rules, and what share of errors the least certain hold."""
    found = [replace(one.found, settings=rules) for one in said]
    labels = [label for label in said[0].found.labels if label != BACKGROUND]
    pairs = [Pair(one.truth, replace(one.truth, bouts=each.bouts)) for one, each in zip(said, found, strict=True)]
    scores = temporal_scores(pairs, labels)
    doubts = np.concatenate([doubt(each) for each in found])
    wrong = np.array(
        [not _is_right(bout, one.truth) for one, each in zip(said, found, strict=True) for bout in each.bouts]
    )
    return {
        "F1@10": scores.f1_at[0.1],
        "F1@25": scores.f1_at[0.25],
        "F1@50": scores.f1_at[0.5],
        "mAP@0.5": scores.map_at[0.5],
        "mAP@0.1-0.7": scores.mean_map,
        "edit": scores.edit,
        "accuracy of frames": scores.accuracy,
        "bouts per true bout": scores.bouts_per_true_bout,
        "wrong bouts": float(wrong.mean()),
        "errors in the least certain fifth of bouts": share_held(doubts, wrong),
    }


def window_figures(said: Sequence[Said]) -> dict[str, float]:
    """Return what share of errors the least certain windows hold: of all, and of those that lie within one bout."""
    doubts, wrong, within = [], [], []
    for one in said:
        borders_s, labels = one.found.borders_s, one.found.labels
        for (start, end), probs in zip(one.found.windows.windows, one.found.windows.probs, strict=True):
            middle_s = (borders_s[start] + borders_s[end]) / 2
            bout = next(bout for bout in one.truth.bouts if bout.start_s <= middle_s < bout.end_s)
            doubts.append(float(frame_doubt(probs[None], exclusive=True)[0]))
            wrong.append(labels[int(probs.argmax())] != bout.label)
            within.append(bout.start_s - 1e-6 <= borders_s[start] and borders_s[end] <= bout.end_s + 1e-6)
    every, errors, inside = np.array(doubts), np.array(wrong), np.array(within)
    return {
        "windows": float(len(every)),
        "wrong windows": float(errors.mean()),
        "errors in the least certain fifth of windows": share_held(every, errors),
        "windows within a bout": float(inside.sum()),
        "wrong windows within a bout": float(errors[inside].mean()),
        "errors in the least certain fifth of windows within a bout": share_held(every[inside], errors[inside]),
    }


def share_held(doubts: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Return which share of all errors the most doubtful fifth holds; nan without errors."""
    looked_at = np.argsort(-doubts, kind="stable")[: round(LEAST_CERTAIN * len(doubts))]
    return float(wrong[looked_at].sum() / wrong.sum()) if wrong.any() else float("nan")


def _is_right(bout: Bout, truth: Recording) -> bool:
    for other in truth.bouts:
        common = overlap_s((bout.start_s, bout.end_s), (other.start_s, other.end_s))
        if other.label == bout.label and common >= 0.5 * (bout.duration_s + other.duration_s - common):
            return True
    return False


def _part(clip: RecognitionExample) -> Part:
    return Part(clip.path, (CENTER_VIEW,), clip.start_s, clip.end_s)


def main() -> None:
    """Read the flags, join, fit on `val`, report on `test`."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a data set of clips, in any layout that lrcn reads")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--recordings", type=int, default=200, help="of the test split; a third as many of val")
    parser.add_argument("--clips", type=int, default=12, help="in each recording")
    parser.add_argument("--cache-dir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    flags = parser.parse_args()
    header, model = model_file.load(flags.model)
    device = torch.device("cpu")
    data = read_recognition_data(flags.data)
    encoded = EncodedVideos(header, model, runtime="auto", cache_dir=flags.cache_dir, device=device)
    clips = {split: [one for one in data.split(split) if one.label in header.labels] for split in ("val", "test")}
    with Narrator(quiet=False).bar("features", sum(map(len, clips.values())), unit="videos") as bar:
        encoded.fill([*clips["val"], *clips["test"]], _part, bar)
    fps = header.preprocess.sample_fps or 30.0
    said = {}
    for split, number in (("val", -(-flags.recordings // 3)), ("test", flags.recordings)):
        joined = join(clips[split], encoded, recordings=number, length=flags.clips, fps=fps, seed=flags.seed)
        said[split] = say(joined, header, model, device)
    print("fitting", file=sys.stderr, flush=True)
    known = [KnownRecording(one.truth, frame_probs(one.found.windows), one.found.borders_s) for one in said["val"]]
    fitted = fit_bout_settings(known, header.labels, clip_s=header.preprocess.clip_length / fps, exclusive=True)
    assert fitted is not None
    plain = said["test"][0].found.settings
    rows = {
        "test, by length of clips": figures(said["test"], plain),
        "test, fitted on val": figures(said["test"], fitted),
        "val, fitted on val": figures(said["val"], fitted),
        "test, windows": window_figures(said["test"]),
    }
    for name, row in rows.items():
        print(name)
        for what, value in row.items():
            print(f"  {what:60s} {value:.3f}" if value < 10 else f"  {what:60s} {value:.0f}")
    if flags.json:
        write_json(flags.json, {"settings": asdict(fitted), **rows}, indent=2)


if __name__ == "__main__":
    main()
