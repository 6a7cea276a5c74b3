"""Training on recordings: every file is encoded once, and clips are frames of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.tiny_recordings import tiny_recordings
from tests.training.tiny_training import LABELS, tiny_config, train_quietly

from lrcn import model_file
from lrcn.bouts import BACKGROUND
from lrcn.config import PreprocessConfig
from lrcn.data.batches import ClipKey, FeatureVideo
from lrcn.data.recognition.datasets import FrameClips
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample
from lrcn.data.recognition.recordings import data_of
from lrcn.features import Part, TorchEncoder, encode_video, half_precision
from lrcn.models.backbones import default_preprocess
from lrcn.training.features import EncodedVideos
from lrcn.training.progress import Narrator
from lrcn.training.recognition.bouts import recording_features
from lrcn.training.recognition.data import _all_clips, feature_video, one_for_each_part, prepare_frames, training_part
from lrcn.training.recognition.data_set import fingerprint, says_side
from lrcn.training.recognition.recipe import RecognitionRecipe
from lrcn.video.read import read_all

CLIP_LENGTH = 6


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> RecognitionData:
    return data_of(tiny_recordings(tmp_path_factory.mktemp("long"), make_clip), ReadOptions(), Path("tiny.csv"))


def encoded_and_recipe(data: RecognitionData, cache_dir: Path) -> tuple[EncodedVideos, RecognitionRecipe]:
    config = tiny_config(clip_length=CLIP_LENGTH)
    preprocess = config.preprocess_config(default_preprocess(config.backbone))
    recipe = RecognitionRecipe(config, preprocess, data, Narrator(quiet=True))
    torch.manual_seed(0)
    recipe.build()
    device = torch.device("cpu")
    return EncodedVideos(recipe.header({}), recipe.model, runtime="torch", cache_dir=cache_dir, device=device), recipe


@pytest.mark.parametrize("in_memory", [True, False])
def test_clips_are_frames_of_the_whole_file_which_is_encoded_once(
    recordings: RecognitionData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.setattr("lrcn.training.features._MEMORY_SHARE", 0.0)
    encoded, recipe = encoded_and_recipe(recordings, tmp_path)
    config, preprocess = tiny_config(clip_length=CLIP_LENGTH), recipe.header({}).preprocess
    files = one_for_each_part(recordings.examples)
    assert sorted(example.path.name for example in files) == ["0.avi", "1.avi"]
    with Narrator(quiet=True).bar("features", 2, unit="videos") as bar:
        encoded.fill(files, lambda example: training_part(example, config), bar)
    encoder = TorchEncoder(recipe.model.backbone, preprocess)
    whole = {example.path: encode_video(example.path, encoder, preprocess) for example in files}
    for example in recordings.examples:
        video = feature_video(encoded, example, training_part(example, config), preprocess, 3)
        assert video.label == 3
        assert video.num_frames >= CLIP_LENGTH
        times_s = whole[example.path].times_s[video.first : video.first + video.num_frames]
        middle_s = (times_s[0] + times_s[-1] + 0.1) / 2
        if example.within and example.within[0] < times_s[0] - 0.2 and times_s[-1] + 0.2 < example.within[1]:
            assert middle_s == pytest.approx((example.start_s + (example.end_s or 0)) / 2, abs=0.11)
        rows = half_precision(whole[example.path].features)[0, video.first : video.first + video.num_frames].numpy()
        np.testing.assert_allclose(video.window(0, 0, video.num_frames), rows, atol=2e-3)
    assert len(list(tmp_path.glob("features/*/*.npy"))) == 2 * config.views


def test_frames_of_a_trained_cnn_are_those_of_the_same_times(recordings: RecognitionData) -> None:
    config = tiny_config(clip_length=CLIP_LENGTH, backbone_trainable=True, jitter=0.0)
    preprocess = config.preprocess_config(default_preprocess(config.backbone))
    prepared = prepare_frames(recordings, config, preprocess, narrator=Narrator(quiet=True), rank=0)
    clips = prepared.items
    assert isinstance(clips, FrameClips)
    assert prepared.num_items == sum(example.split == "train" for example in recordings.examples)
    for number in range(prepared.num_items):
        clip = clips[ClipKey(0, number)]
        assert not isinstance(clip, str)
        assert clip[0].shape == (CLIP_LENGTH, 36, 48, 3)


def test_a_model_of_recordings_knows_their_behaviours(
    recordings: RecognitionData, cache_dir: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        grid=7,
        hidden_size=32,
        epochs=20,
        input_dropout=0.0,
        output_dropout=0.0,
        head="lstm+statistics",
        standardise=True,
    )
    result = train_quietly(config, recordings, output=tmp_path / "run", cache_dir=cache_dir)
    assert model_file.inspect(result.model_path).labels == (*LABELS, BACKGROUND)
    assert result.val_score is not None
    assert result.val_score > 0.6  # chance: about a third


def test_of_hours_fewer_windows_are_learnt_from_at_once_and_no_frame_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = np.arange(100, dtype=np.float32)[:, None]
    videos = [FeatureVideo(0, 60, (rows,), 40), FeatureVideo(1, 20, (rows,), 5)]
    preprocess = PreprocessConfig(clip_length=8, clip_stride=2)
    for most, number in ((10_000, 27 + 7), (16, 12 + 4), (4, 8 + 3)):
        monkeypatch.setattr("lrcn.training.recognition.data.MOST_FITTED", most)
        (clips,) = _all_clips(videos, preprocess, balance=False)
        assert len(clips.targets) == number
        assert set(clips.features.flatten().tolist()) == {*range(5, 25), *range(40, 100)}
        for label in (0, 1):
            assert clips.weights[clips.targets == label].sum().item() == pytest.approx(1)


def test_another_division_of_the_same_recordings_is_other_data(recordings: RecognitionData, tmp_path: Path) -> None:
    examples = [(e, e.within) for e in recordings.examples]
    moved = tuple(
        type(e)(e.path, e.label, e.split, e.start_s, e.end_s, e.group, (0.0, within[1]) if within else None)
        for e, within in examples
    )
    assert fingerprint(recordings) != fingerprint(RecognitionData(recordings.labels, moved, recordings.name))


def test_of_a_region_its_pixels_are_all_that_is_seen(make_clip: Any, tmp_path: Path) -> None:
    """Two arenas in one file give what two files of one arena each give."""
    alone = tiny_recordings(tmp_path, make_clip)
    (left, _), (right, _) = (read_all(recording.path) for recording in alone.recordings)
    length = min(len(left), len(right))
    both = make_clip(tmp_path / "both.avi", np.concatenate([left[:length], right[:length]], axis=2), 10)
    rois = ((0, 0, 48, 36), (48, 0, 48, 36))
    regions = tuple(replace(one, path=both, roi=roi) for one, roi in zip(alone.recordings, rois, strict=True))
    data = data_of(replace(alone, recordings=regions), ReadOptions(), Path("tiny.csv"))
    own_path = dict(zip(rois, (recording.path for recording in alone.recordings), strict=True))
    encoded, recipe = encoded_and_recipe(data, tmp_path / "cache")
    config, preprocess = tiny_config(clip_length=CLIP_LENGTH, jitter=0.0), recipe.header({}).preprocess
    assert len(one_for_each_part(data.examples)) == 2
    not_compared = set(rois)
    for example in data.examples:
        assert example.roi is not None
        part, lone = training_part(example, config), replace(example, path=own_path[example.roi], roi=None)
        video = feature_video(encoded, example, part, preprocess, 0)
        expected = feature_video(encoded, lone, Part(lone.path, part.views), preprocess, 0)
        # the other file may be longer at its end, which moves the last clips
        if video.first == expected.first and video.num_frames == expected.num_frames:
            np.testing.assert_array_equal(*(one.window(0, 0, one.num_frames) for one in (video, expected)))
            not_compared.discard(example.roi)
    assert not not_compared
    prepared = prepare_frames(data, config, preprocess, narrator=Narrator(quiet=True), rank=0)
    clip = prepared.items[ClipKey(0, 0)]
    assert clip[0].shape == (CLIP_LENGTH, 36, 48, 3)
    found = recording_features(data, encoded, lambda example: training_part(example, config))
    assert {one.truth.roi for one in found} == set(rois)


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("turn_left", True),
        ("TurnLeft", True),
        ("RightHand", True),
        ("Pulling it from left to right", True),
        ("leftwards", True),
        ("TURN_LEFT", True),
        ("counterclockwise", True),
        ("Forehand", True),
        ("bright", False),
        ("Brighten", False),
        ("upright", False),
        ("cleft", False),
        ("copyrighted", False),
        ("walk", False),
    ],
)
def test_a_name_says_on_which_side(label: str, says: bool) -> None:
    assert says_side(label) is says


@pytest.mark.parametrize("labels", [("turn left", "turn right"), ("turn", "stay")])
def test_classes_of_a_side_are_not_mirrored(
    make_clip: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], labels: tuple[str, str]
) -> None:
    clip = make_clip(tmp_path / "0.avi", np.zeros((6, 36, 48, 3), np.uint8), 10)
    data = RecognitionData(labels, tuple(RecognitionExample(clip, label, "train") for label in labels), "tiny")
    config = tiny_config(mirror=True, views=2, jitter=0.0)
    preprocess = config.preprocess_config(default_preprocess(config.backbone))
    recipe = RecognitionRecipe(config, preprocess, data, Narrator())
    recipe.build()
    recipe.prepare(cache_dir=tmp_path / "cache", device=torch.device("cpu"), narrator=Narrator(quiet=True), rank=0)
    sided = labels[0] == "turn left"
    assert len(list((tmp_path / "cache").glob("features/*/*.npy"))) == (1 if sided else 2)
    assert ("class 'turn left' (1 more) says on which side: nothing is mirrored" in capfd.readouterr().err) is sided
