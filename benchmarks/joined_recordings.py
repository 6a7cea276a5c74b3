"""Recordings with known borders, joined from the short clips of any data set: how well are bouts found in them?

    python -m benchmarks.joined_recordings DATA OUT --recordings 200

OUT gets `recordings/<number>.mp4` and `annotations.csv` (path,label,start_s,end_s). Clips of one split, by default the
held-out one, follow each other without anything in between and never two of one class; the comment of a bout names its
clip. All frames get the size of the first clip, and a common rate. Every clip is shown once before one is shown again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lrcn.annotations.formats import write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import DataError
from lrcn.video.read import probe, read_all
from lrcn.video.resize import Frames, resized_size
from lrcn.video.write import write_video

_NAMED = 3
"""Parts of a clip's path that its bout names: often split, class and file."""


def draw_sequences(labels: Sequence[str], count: int, length: int, rng: np.random.Generator) -> list[list[int]]:
    """Draw `count` sequences of `length` clips, no two of one label side by side.

    Args:
        labels: Of each clip.
        count: How many sequences.
        length: Clips in each.
        rng: Draws the order in which clips come; all come once before one comes again.

    Raises:
        DataError: If there are not two labels.
    """
    if len(set(labels)) < 2:
        raise DataError(f"clips of two classes or more are needed, got {len(set(labels))}: borders lie between classes")
    waiting: list[int] = []
    sequences = []
    for _ in range(count):
        sequence: list[int] = []
        while len(sequence) < length:
            last = labels[sequence[-1]] if sequence else None
            place = next((i for i, clip in enumerate(waiting) if labels[clip] != last), None)
            if place is None:  # none is left, or only such as must not come now
                waiting += rng.permutation(len(labels)).tolist()
                continue
            sequence.append(waiting.pop(place))
        sequences.append(sequence)
    return sequences


def join_clips(
    clips: Sequence[RecognitionExample],
    output: Path,
    *,
    recordings: int,
    clips_each: int = 8,
    fps: float = 10,
    size_px: int = 128,
    seed: int = 0,
) -> Annotations:
    """Write recordings and their annotations, and return these.

    Args:
        clips: Of two classes or more.
        output: Folder; what is there of earlier recordings is replaced.
        recordings: How many.
        clips_each: Clips in each.
        fps: Frames a second; each clip is sampled at this rate.
        size_px: Short side of the frames; their shape is that of the first clip's.
        seed: Decides which clips follow each other.

    Raises:
        DataError: If there are not two classes.
        MediaError: If a clip cannot be read.
    """
    sequences = draw_sequences([clip.label for clip in clips], recordings, clips_each, np.random.default_rng(seed))
    first = probe(clips[0].path)
    shape = resized_size(first.height, first.width, size_px)
    known = []
    for number, sequence in enumerate(sequences):
        path = output / "recordings" / f"{number:04d}.mp4"
        bouts: list[Bout] = []
        frames = _frames([clips[place] for place in sequence], bouts, fps, shape)
        write_video(path, frames, fps=fps)
        known.append(
            Recording(
                path.name,
                path,
                tuple(bouts),
                looked_at=WHOLE,
                duration_s=bouts[-1].end_s,
                fps=fps,
                split="test",
            )
        )
    labels = tuple(dict.fromkeys(sorted(clip.label for clip in clips)))
    joined = Annotations(output.name, tuple(known), labels, num_events=recordings * clips_each)
    write_annotations(joined, output / "annotations.csv")
    return joined


def _frames(
    clips: Sequence[RecognitionExample], bouts: list[Bout], fps: float, shape: tuple[int, int]
) -> Iterator[Frames]:
    """Yield the frames of clips one after another, and add a bout for each clip that is through."""
    count = 0
    for clip in clips:
        frames, _ = read_all(clip.path, sample_fps=fps, resize=shape, start_s=clip.start_s, end_s=clip.end_s)
        yield from frames
        name = Path(*clip.path.parts[-_NAMED:]).as_posix()
        bouts.append(Bout(clip.label, count / fps, (count + len(frames)) / fps, comment=name))
        count += len(frames)


def main() -> None:
    """Read the flags, join."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="a data set of clips, in any layout that lrcn reads")
    parser.add_argument("output", type=Path)
    parser.add_argument("--recordings", type=int, default=200)
    parser.add_argument("--clips", type=int, default=8, help="in each recording")
    parser.add_argument("--split", default="test")
    parser.add_argument("--fps", type=float, default=10)
    parser.add_argument("--size-px", type=int, default=128, help="short side")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    joined = join_clips(
        read_recognition_data(flags.data).split(flags.split),
        flags.output,
        recordings=flags.recordings,
        clips_each=flags.clips,
        fps=flags.fps,
        size_px=flags.size_px,
        seed=flags.seed,
    )
    total_s = sum(recording.duration_s or 0 for recording in joined.recordings)
    print(f"{len(joined.recordings)} recordings, {joined.num_bouts} bouts, {total_s / 60:.1f} minutes: {flags.output}")


if __name__ == "__main__":
    main()
