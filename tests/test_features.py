from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig
from lrcn.errors import ConfigError, MediaError
from lrcn.extraction import extract_all
from lrcn.features import (
    FeatureCache,
    Part,
    TorchEncoder,
    VideoFeatures,
    content_hash,
    encode_video,
    features_key,
    half_precision,
    load_or_encode,
)
from lrcn.models.recognition import RecognitionModel
from lrcn.video.flow import FlowImages
from lrcn.video.flow_file import FlowTag, write_flow_file
from lrcn.video.read import read_all
from lrcn.video.transforms import Preprocess
from lrcn.video.views import CENTER_VIEW, TEN_CROP_VIEWS, View

SIZES = {"conv1": 4, "conv2": 4, "conv3": 4, "conv4": 4, "conv5": 4, "fc6": 8, "fc7": 8, "input_px": 67}
PIXELS = PreprocessConfig(resize=72, crop=67, mean=(100.0, 110.0, 120.0), std=(50.0, 60.0, 70.0))
CORNER = View(0.0, 1.0, mirror=True)


def make_model(seed: int = 0, layer: str = "fc6") -> RecognitionModel:
    torch.manual_seed(seed)
    backbone = BackboneConfig(name="caffenet", layer=layer, sizes=SIZES)
    model = RecognitionModel(RecognitionConfig(backbone=backbone, num_classes=2))
    for param in model.parameters():
        if param.dim() > 1:
            nn.init.normal_(param, std=2 / param[0].numel() ** 0.5)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> RecognitionModel:
    return make_model()


@pytest.fixture
def encoder(model: RecognitionModel) -> TorchEncoder:
    return TorchEncoder(model.backbone, PIXELS)


def frame_by_frame(model: RecognitionModel, images: np.ndarray, config: PreprocessConfig, view: View) -> torch.Tensor:
    preprocess = Preprocess(config)
    with torch.no_grad():
        return torch.cat([model.backbone(preprocess(image[None], view)) for image in images])


def test_features_are_those_of_each_frame_alone(model: RecognitionModel, clip20: Path) -> None:
    encoded = encode_video(clip20, TorchEncoder(model.backbone, PIXELS), PIXELS, (CENTER_VIEW, CORNER), batch_size=7)

    frames, times_s = read_all(clip20, sample_fps=10, resize=72)
    assert encoded.features.shape == (2, 20, 8)
    for features, view in zip(encoded.features, (CENTER_VIEW, CORNER), strict=True):
        torch.testing.assert_close(features, frame_by_frame(model, frames, PIXELS, view), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(encoded.times_s, times_s)
    assert encoded.duration_s == pytest.approx(2.0)


def test_each_frame_passes_the_cnn_once_per_view(model: RecognitionModel, clip20: Path) -> None:
    seen: list[int] = []
    hook = model.backbone.register_forward_hook(lambda module, args, output: seen.append(len(args[0])))
    encode_video(clip20, TorchEncoder(model.backbone, PIXELS), PIXELS, TEN_CROP_VIEWS, batch_size=8)
    hook.remove()
    assert sum(seen) == 20 * 10


def test_part_of_a_video_has_the_features_of_that_part(encoder: TorchEncoder, clip20: Path) -> None:
    whole = encode_video(clip20, encoder, PIXELS)
    part = encode_video(clip20, encoder, PIXELS, start_s=0.5, end_s=1.2)
    torch.testing.assert_close(part.features, whole.features[:, 5:12], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(part.times_s, whole.times_s[5:12])
    assert part.duration_s == pytest.approx(1.2)


def test_array_has_the_features_of_the_file(encoder: TorchEncoder, clip20: Path, frames20: np.ndarray) -> None:
    from_file, from_array = encode_video(clip20, encoder, PIXELS), encode_video(frames20, encoder, PIXELS)
    torch.testing.assert_close(from_array.features, from_file.features, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(from_array.times_s, from_file.times_s)
    assert from_array.duration_s == pytest.approx(from_file.duration_s)


@pytest.mark.parametrize(
    "frames", [np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8, 3)), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_array_of_another_layout_is_refused(encoder: TorchEncoder, frames: Any) -> None:
    with pytest.raises(MediaError, match="must be RGB"):
        encode_video(frames, encoder, PIXELS)


def test_part_without_frames_is_refused(encoder: TorchEncoder, clip20: Path) -> None:
    with pytest.raises(MediaError, match="7 s"):
        encode_video(clip20, encoder, PIXELS, start_s=7.0, end_s=8.0)


def test_backbone_is_used_in_evaluation_mode(model: RecognitionModel, clip20: Path, encoder: TorchEncoder) -> None:
    expected = encode_video(clip20, encoder, PIXELS).features
    model.train()
    found = encode_video(clip20, encoder, PIXELS).features
    model.eval()
    assert torch.equal(found, expected)


# --- flow -------------------------------------------------------------------------------------------------------------

FLOW = replace(PIXELS, stream="flow", mean=(128.0,) * 3)


def test_flow_features_are_those_of_the_images_between_frames(model: RecognitionModel, clip20: Path) -> None:
    encoded = encode_video(clip20, TorchEncoder(model.backbone, FLOW), FLOW, (CENTER_VIEW, CORNER), batch_size=6)

    frames, times_s = read_all(clip20, sample_fps=10, resize=72)
    images = FlowImages("dis").push(frames)
    assert encoded.features.shape == (2, 19, 8)
    for features, view in zip(encoded.features, (CENTER_VIEW, CORNER), strict=True):
        torch.testing.assert_close(features, frame_by_frame(model, images, FLOW, view), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(encoded.times_s, times_s[1:])


def test_single_frame_has_one_flow_feature(model: RecognitionModel, frames20: np.ndarray) -> None:
    encoded = encode_video(frames20[:1], TorchEncoder(model.backbone, FLOW), FLOW)
    assert encoded.features.shape == (1, 1, 8)
    np.testing.assert_array_equal(encoded.times_s, [0.0])


def test_flow_file_stands_for_the_video(model: RecognitionModel, clip20: Path, tmp_path: Path) -> None:
    frames, _ = read_all(clip20, sample_fps=10, resize=72)
    path = tmp_path / "clip20.flow.mkv"
    write_flow_file(path, FlowImages("dis").push(frames), fps=10, tag=FlowTag("dis", 10.0, 72))
    encoder = TorchEncoder(model.backbone, FLOW)

    stored, computed = encode_video(path, encoder, FLOW), encode_video(clip20, encoder, FLOW)
    np.testing.assert_allclose(stored.times_s, computed.times_s, atol=1e-3)
    assert stored.duration_s == pytest.approx(computed.duration_s, abs=1e-3)
    assert (stored.features - computed.features).abs().mean() < 0.1 * computed.features.abs().mean()
    part = (
        encode_video(path, encoder, FLOW, start_s=0.5, end_s=1.2),
        encode_video(clip20, encoder, FLOW, start_s=0.5, end_s=1.2),
    )
    np.testing.assert_allclose(part[0].times_s, part[1].times_s, atol=1e-3)


@pytest.mark.parametrize(
    ("config", "message"), [(PIXELS, "looks at RGB"), (replace(FLOW, flow_method="farneback"), "made as .*'dis'")]
)
def test_flow_file_made_otherwise_is_refused(
    model: RecognitionModel, frames20: np.ndarray, tmp_path: Path, config: PreprocessConfig, message: str
) -> None:
    path = tmp_path / "v.flow.mkv"
    write_flow_file(path, frames20, fps=10, tag=FlowTag("dis", 10.0, 72))
    with pytest.raises(MediaError, match=message):
        encode_video(path, TorchEncoder(model.backbone, config), config)


# --- cache ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def video(clip20: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(clip20, tmp_path / "video.avi"))


def test_cache_gives_back_what_was_put_rounded_to_float16(encoder: TorchEncoder, video: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    assert cache.get(Part(video, (CENTER_VIEW, CORNER))) is None
    encoded = encode_video(video, encoder, PIXELS, (CENTER_VIEW, CORNER))
    cache.put(Part(video, (CENTER_VIEW, CORNER)), encoded)

    found = FeatureCache(tmp_path / "cache", "key").get(Part(video, (CENTER_VIEW, CORNER)))
    assert found is not None
    assert torch.equal(found.features, encoded.features.half().float())
    np.testing.assert_array_equal(found.times_s, encoded.times_s)
    assert (found.duration_s, found.warnings) == (encoded.duration_s, encoded.warnings)
    assert cache.get(Part(video, (CORNER,))) is not None
    assert np.load(cache.files(Part(video, (CORNER,)))[0]).dtype == np.float16


def test_encoding_and_cache_give_the_same_values(
    model: RecognitionModel, encoder: TorchEncoder, video: Path, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    first = load_or_encode(encoder, PIXELS, cache, Part(video))
    seen: list[int] = []
    hook = model.backbone.register_forward_hook(lambda module, args, output: seen.append(1))
    again = load_or_encode(encoder, PIXELS, cache, Part(video))
    hook.remove()
    assert torch.equal(first.features, again.features)
    assert not seen


def test_renamed_video_is_found(encoder: TorchEncoder, video: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    load_or_encode(encoder, PIXELS, cache, Part(video))
    assert cache.get(Part(video.rename(tmp_path / "other.avi"))) is not None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: features_key(make_model(seed=1), PIXELS), id="weights"),
        pytest.param(lambda: features_key(make_model(layer="fc7"), PIXELS), id="layer"),
        pytest.param(lambda: features_key(make_model(), replace(PIXELS, resize=80)), id="resize"),
        pytest.param(lambda: features_key(make_model(), replace(PIXELS, mean=(1.0, 2.0, 3.0))), id="mean"),
        pytest.param(lambda: features_key(make_model(), replace(PIXELS, channel_order="bgr")), id="channels"),
        pytest.param(lambda: features_key(make_model(), replace(PIXELS, sample_fps=5.0)), id="sample_fps"),
        pytest.param(lambda: features_key(make_model(), FLOW), id="stream"),
    ],
)
def test_other_features_have_another_key(other: Callable[[], str]) -> None:
    assert features_key(make_model(), PIXELS) == features_key(make_model(), PIXELS)
    assert other() != features_key(make_model(), PIXELS)


def test_keys_are_those_of_caches_made_before() -> None:
    model = make_model()
    with torch.no_grad():
        for values in model.backbone.parameters():
            values.copy_(torch.arange(values.numel()).reshape(values.shape) % 7 - 3.0)
    assert [features_key(model, PIXELS), features_key(model, FLOW), features_key(model, PIXELS, "openvino")] == [
        "9d6b1afbbe18cc42b0206f8c1a22308f19b5899af16a47cc72ebf71db7b54166",
        "1c2aaa6e18ba4c4db0dbe90bbf4f1c0b4cb5b1132596ff21bd551f412d90787d",
        "af082a96b7cff3bc3b3d645aec5716bb4cfd1b01ad3fe9a6d0ed35ea893c17e5",
    ]


def test_a_model_of_ready_vectors_has_no_key() -> None:
    class Vectors:
        config = SimpleNamespace(backbone=None)
        backbone = None

    with pytest.raises(ConfigError, match="ready vectors"):
        features_key(Vectors(), PIXELS)


def test_clip_lengths_leave_features_as_they_are(model: RecognitionModel) -> None:
    shorter = replace(PIXELS, clip_length=4, clip_stride=2, flow_method="farneback")
    assert features_key(model, shorter) == features_key(model, PIXELS)


def test_one_changed_weight_changes_the_key() -> None:
    model = make_model()
    before = features_key(model, PIXELS)
    with torch.no_grad():
        next(model.backbone.parameters())[0, 0, 0, 0] += 1e-6
    assert features_key(model, PIXELS) != before


def test_other_view_part_or_content_misses(encoder: TorchEncoder, video: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    load_or_encode(encoder, PIXELS, cache, Part(video))
    assert cache.get(Part(video, (View(0.5, 0.5, mirror=True),))) is None
    assert cache.get(Part(video, start_s=0.1)) is None
    assert cache.get(Part(video, end_s=1.0)) is None
    assert cache.get(Part(video, roi=(0, 0, 64, 48))) is None
    video.write_bytes(video.read_bytes() + b"x")
    assert cache.get(Part(video)) is None


def test_features_of_regions_do_not_mix(
    encoder: TorchEncoder, clip20: Path, frames20: np.ndarray, tmp_path: Path
) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    rois = (None, (0, 0, 40, 40), (24, 8, 40, 40))
    extract_all([Part(clip20, roi=roi) for roi in rois], lambda part: part, encoder, PIXELS, cache)
    for roi in rois:
        own = frames20 if roi is None else frames20[:, roi[1] : roi[1] + 40, roi[0] : roi[0] + 40]
        expected = half_precision(encode_video(np.ascontiguousarray(own), encoder, PIXELS).features).float()
        found = cache.get(Part(clip20, roi=roi))
        assert found is not None
        torch.testing.assert_close(found.features, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("left", [0, 40])
def test_torn_entry_counts_as_missing(
    encoder: TorchEncoder, video: Path, tmp_path: Path, suffix: str, left: int
) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    whole = load_or_encode(encoder, PIXELS, cache, Part(video))
    path = cache.files(Part(video))[0].with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:left])
    assert cache.get(Part(video)) is None
    assert torch.equal(load_or_encode(encoder, PIXELS, cache, Part(video)).features, whole.features)
    assert cache.get(Part(video)) is not None


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_no_changed_bit_is_taken_for_features(video: Path, tmp_path: Path, suffix: str) -> None:
    """Each bit of the second half of the file, and zeros in its place, as a disk leaves them after a power cut."""
    cache = FeatureCache(tmp_path / "cache", "key")
    features = torch.arange(1, 7, dtype=torch.float32).reshape(1, 2, 3)
    cache.put(Part(video), VideoFeatures(features, np.array([0.0, 0.1]), 0.2, ("so it is",)))
    whole = cache.get(Part(video))
    assert whole is not None
    assert torch.equal(whole.features, features)
    path = cache.files(Part(video))[0].with_suffix(suffix)
    content = path.read_bytes()
    half = len(content) // 2
    changed = [content[:half] + bytes(len(content) - half)]
    for place in range(half, len(content)):
        for bit in range(8):
            changed.append(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
    for damaged in changed:
        path.write_bytes(damaged)
        found = cache.get(Part(video))
        if found is not None:  # what says the same: spaces in JSON and in the head of an array
            assert torch.equal(found.features, whole.features)
            assert np.array_equal(found.times_s, whole.times_s)
            assert (found.duration_s, found.warnings) == (whole.duration_s, whole.warnings)


def test_entries_without_a_checksum_are_made_again(video: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    cache.put(Part(video), VideoFeatures(torch.ones(1, 2, 3), np.array([0.0, 0.1]), 0.2))
    path = cache.files(Part(video))[0].with_suffix(".json")
    entry = json.loads(path.read_text())
    del entry["crc32"]
    path.write_text(json.dumps(entry))
    assert cache.get(Part(video)) is None


def test_values_beyond_float16_are_kept_in_float32(video: Path, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", "key")
    features = torch.tensor([[[1e5, 0.1], [3.0, -7e6]]])
    cache.put(Part(video), VideoFeatures(features, np.array([0.0, 0.1]), 0.2))
    found = cache.get(Part(video))
    assert found is not None
    assert torch.equal(found.features, features)


def test_content_of_a_folder_of_images_counts(tmp_path: Path) -> None:
    for name, content in (("a.png", b"1"), ("b.png", b"2")):
        (tmp_path / name).write_bytes(content)
    before = content_hash(tmp_path)
    (tmp_path / "b.png").write_bytes(b"33")
    assert content_hash(tmp_path) != before


def test_missing_file_has_no_content(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.avi: cannot be read"):
        content_hash(tmp_path / "gone.avi")


def test_entries_lie_where_earlier_versions_put_them(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.avi"):
        (tmp_path / name).write_bytes(b"content")
    cache = FeatureCache(tmp_path, "0123456789abcdef" * 4)
    parts = (
        Part(tmp_path / "a.mp4"),
        Part(tmp_path / "a.mp4", (View(0.0, 1.0, mirror=True),), 0.5, 1.5),
        Part(tmp_path / "a.avi"),
    )
    assert [file.relative_to(tmp_path).as_posix() for part in parts for file in cache.files(part)] == [
        "0123456789abcdef0123456789abcdef/f74f47e4c1bb2e27e0e7207e6b376d08.npy",
        "0123456789abcdef0123456789abcdef/78a274218746765c7607d20ca7675524.npy",
        "0123456789abcdef0123456789abcdef/f74f47e4c1bb2e27e0e7207e6b376d08.npy",
    ]
