from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrcn.config import PreprocessConfig
from lrcn.data.batches import ClipKey, FeatureVideo
from lrcn.data.recognition.datasets import (
    FeatureClips,
    FrameClips,
    FrameVideo,
    collate_features,
    collate_frames,
    window_batches,
)
from lrcn.video.flow import FlowImages
from lrcn.video.read import read_all
from lrcn.video.sampling import clip_windows

# --- cached features --------------------------------------------------------------------------------------------------


def feature_video(num_frames: int, label: int = 0, num_views: int = 1) -> FeatureVideo:
    """Frame t of view v has the feature (t, v)."""
    views = [np.array([(t, v) for t in range(num_frames)], np.float16) for v in range(num_views)]
    return FeatureVideo(label, num_frames, tuple(views))


def test_clips_are_windows_of_one_view_and_all_of_them_come() -> None:
    clips = FeatureClips([feature_video(9, label=4, num_views=2), feature_video(3)], 6, seed=0)
    seen = set()
    for epoch in range(200):
        rows, label = clips[ClipKey(epoch, 0)]
        start, view = int(rows[0, 0]), int(rows[0, 1])
        np.testing.assert_array_equal(rows, [(start + t, view) for t in range(6)])
        assert label == 4
        seen.add((start, view))
    assert seen == {(start, view) for start in range(4) for view in range(2)}


def test_clip_depends_on_nothing_but_seed_epoch_and_video() -> None:
    videos = [feature_video(40) for _ in range(8)]
    keys = [ClipKey(epoch, video) for epoch in range(4) for video in range(8)]
    in_order = FeatureClips(videos, 6, seed=1)
    expected = {key: in_order[key][0] for key in keys}
    shuffled = FeatureClips(videos, 6, seed=1)
    for i in np.random.default_rng(0).permutation(len(keys)):
        np.testing.assert_array_equal(shuffled[keys[i]][0], expected[keys[i]])
    other = FeatureClips(videos, 6, seed=2)
    assert any((other[key][0] != expected[key]).any() for key in keys)


def test_short_video_is_one_short_clip_padded_in_the_batch() -> None:
    clips = FeatureClips([feature_video(3, label=1), feature_video(20, label=2)], 6, seed=0)
    batch = collate_features([clips[ClipKey(0, 0)], clips[ClipKey(0, 1)]])
    assert batch.features.shape == (2, 6, 2)
    assert batch.features.dtype == torch.float32
    assert batch.lengths.tolist() == [3, 6]
    assert batch.labels.tolist() == [1, 2]
    assert batch.features[0, :3, 0].tolist() == [0, 1, 2]
    assert not batch.features[0, 3:].any()


def test_features_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    video = feature_video(30, num_views=2)
    paths = []
    for number, rows in enumerate(video.views):
        paths.append(tmp_path / f"{number}.npy")
        np.save(paths[-1], rows)
    on_disk = FeatureVideo(0, 30, tuple(paths))
    for epoch in range(20):
        key = ClipKey(epoch, 0)
        np.testing.assert_array_equal(
            FeatureClips([on_disk], 6, seed=0)[key][0], FeatureClips([video], 6, seed=0)[key][0]
        )


@given(
    lengths=st.lists(st.integers(1, 25), min_size=1, max_size=6),
    clip_length=st.integers(1, 8),
    batch_size=st.integers(1, 9),
)
def test_validation_sees_the_windows_of_recognition(lengths: list[int], clip_length: int, batch_size: int) -> None:
    stride = (clip_length + 1) // 2
    found = []
    for batch in window_batches([feature_video(n) for n in lengths], clip_length, stride, batch_size=batch_size):
        assert len(batch.features) <= batch_size
        for rows, length, video in zip(batch.features, batch.lengths.tolist(), batch.videos.tolist(), strict=True):
            start = int(rows[0, 0])
            assert rows[:length, 0].tolist() == list(range(start, start + length))
            found.append((video, (start, start + length)))
    expected = [(i, window) for i, n in enumerate(lengths) for window in clip_windows(n, clip_length, stride)]
    assert found == expected


# --- decoded frames ---------------------------------------------------------------------------------------------------

PIXELS = PreprocessConfig(resize=36, crop=32, clip_length=6, clip_stride=3)


def frame_clips(video: FrameVideo, preprocess: PreprocessConfig = PIXELS) -> FrameClips:
    return FrameClips([video], preprocess, mirror=True, jitter=1.0, seed=0)


def test_decoded_clip_is_a_window_of_the_video(clip20: Path) -> None:
    whole, _ = read_all(clip20, sample_fps=10, resize=36)
    clips = frame_clips(FrameVideo(3, clip20, 0.0, 20, 10.0))
    starts, views = set(), set()
    for epoch in range(25):
        clip = clips[ClipKey(epoch, 0)]
        assert not isinstance(clip, str)
        frames, view, label = clip
        matches = [s for s in range(15) if np.array_equal(frames.numpy(), whole[s : s + 6])]
        assert len(matches) == 1
        starts |= set(matches)
        views.add(view)
        assert label == 3
    assert len(starts) > 5
    assert len(views) == 25
    assert {view.mirror for view in views} == {True, False}


def test_clip_of_a_segment_stays_inside(clip20: Path) -> None:
    whole, _ = read_all(clip20, sample_fps=10, resize=36)
    clips = frame_clips(FrameVideo(0, clip20, 0.5, 7, 10.0))
    for epoch in range(6):
        clip = clips[ClipKey(epoch, 0)]
        assert not isinstance(clip, str)
        assert any(np.array_equal(clip[0].numpy(), whole[s : s + 6]) for s in (5, 6))


def test_clip_of_every_frame_needs_no_sampling(clip20: Path) -> None:
    every = PreprocessConfig(resize=36, crop=32, clip_length=6, clip_stride=3, sample_fps=None)
    whole, _ = read_all(clip20, resize=36)
    clip = frame_clips(FrameVideo(0, clip20, 0.0, 20, 10.0), every)[ClipKey(1, 0)]
    assert not isinstance(clip, str)
    assert any(np.array_equal(clip[0].numpy(), whole[s : s + 6]) for s in range(15))


def test_flow_clip_is_a_window_of_the_flow_images(clip20: Path) -> None:
    flow = PreprocessConfig(resize=36, crop=32, clip_length=6, clip_stride=3, stream="flow")
    images = FlowImages("dis").push(read_all(clip20, sample_fps=10, resize=36)[0])
    for epoch in range(4):
        clip = frame_clips(FrameVideo(0, clip20, 0.0, 19, 10.0), flow)[ClipKey(epoch, 0)]
        assert not isinstance(clip, str)
        assert any(np.array_equal(clip[0].numpy(), images[s : s + 6]) for s in range(14))


def test_video_shorter_than_it_says_still_gives_a_clip(clip20: Path) -> None:
    clips = frame_clips(FrameVideo(0, clip20, 0.0, 500, 10.0))
    for epoch in range(3):
        clip = clips[ClipKey(epoch, 0)]
        assert not isinstance(clip, str)
        assert 1 <= len(clip[0]) <= 6


def test_broken_video_is_left_out_of_its_batch(clip20: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video" * 50)
    videos = [FrameVideo(0, broken, 0.0, 20, 10.0), FrameVideo(1, clip20, 0.0, 20, 10.0)]
    clips = FrameClips(videos, PIXELS, mirror=True, jitter=1.0, seed=0)
    batch = collate_frames([clips[ClipKey(0, 0)], clips[ClipKey(0, 1)]])
    assert batch.labels.tolist() == [1]
    assert len(batch.frames) == len(batch.views) == 1
    assert len(batch.failures) == 1
    assert str(broken) in batch.failures[0]


def test_batch_goes_to_another_device() -> None:
    batch: Any = collate_frames([(torch.zeros(2, 4, 4, 3, dtype=torch.uint8), None, 1)])  # type: ignore[list-item]
    moved = batch.to(torch.device("meta"))
    assert moved.frames[0].device.type == moved.labels.device.type == "meta"
