"""Push millions of frames into a stream, and see whether memory grows.

    python scripts/long_stream.py MODEL --frames 2000000

Frames come as four cameras give them, each ten a second of the stream's own time. Prints the resident memory every
50,000 frames and the slope of the last three quarters, in MB an hour of four cameras (144,000 frames); ends with code 1
if it is 1 MB or more. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

import lrcn
from lrcn.inference.recognition.streaming import StreamingRecognizer

_EVERY = 50_000
_AN_HOUR = 4 * 10 * 3600
"""Frames of four cameras."""
_CAMERAS = 4


def resident_mb() -> float:
    """Return the resident memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def main() -> int:
    """Run it and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", help="a small model file")
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop then, whatever was reached")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recognizer = lrcn.load(args.model, device="cpu")
    assert isinstance(recognizer, lrcn.Recognizer)
    cameras = [StreamingRecognizer(recognizer) for _ in range(_CAMERAS)]
    pictures = np.random.default_rng(0).integers(0, 256, (64, 48, 64, 3)).astype(np.uint8)
    until = time.monotonic() + 60 * args.minutes
    counts, memory, segments = [], [], 0
    for number in range(args.frames):
        camera = cameras[number % _CAMERAS]
        segments += camera.push(pictures[number % 64], number // _CAMERAS / 10) is not None
        if (number + 1) % _EVERY == 0:
            counts.append(number + 1)
            memory.append(resident_mb())
            print(f"{number + 1} frames, {segments} segments: {memory[-1]:.1f} MB", flush=True)
            if time.monotonic() > until:
                break
    later = len(counts) // 4
    slope = np.polyfit(counts[later:], memory[later:], 1)[0] * _AN_HOUR
    print(f"{counts[-1]} frames: {slope:+.3f} MB an hour of four cameras")
    return 0 if slope < 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
