"""What is kept of a long video's features."""

from __future__ import annotations

import numpy as np
import torch

from lrcn.inference.captioning.segments import SegmentCutter, ThinnedFeatures


def test_thinned_features_stay_evenly_spaced_and_bounded() -> None:
    for length in (1, 7, 8, 9, 100):
        thinned = ThinnedFeatures(8)
        for start in range(0, length, 3):
            thinned.push(torch.arange(start, min(start + 3, length)).float().unsqueeze(1))
        kept = thinned.features().squeeze(1).tolist()
        assert len(kept) <= 8
        assert kept[0] == 0
        gaps = set(np.diff(kept))
        assert len(gaps) <= 1
        assert length - kept[-1] <= (kept[1] - kept[0] if len(kept) > 1 else 1)
        if length <= 8:
            assert kept == list(range(length))


def test_segments_hold_every_frame_once() -> None:
    for length in (1, 9, 10, 11, 14, 15, 25, 26, 40):
        cutter = SegmentCutter(1.0)
        times_s, features = np.arange(length) / 10, torch.arange(length).float().unsqueeze(1)
        parts = []
        for start in range(0, length, 7):
            parts += cutter.push(features[start : start + 7], times_s[start : start + 7])
        parts += cutter.finish(length / 10)
        assert torch.cat([one for _, one in parts]).squeeze(1).tolist() == list(range(length))
        assert len(parts) == max(1, round(length / 10 + 0.001 if length % 10 == 5 else length / 10))
