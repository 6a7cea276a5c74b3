"""Captions of pictures and videos: equal to the plain search, whatever they are batched with, in bounded pieces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import MakeClip, textured_frames

from lrcn import model_file
from lrcn.decoding import beam_search, greedy_search
from lrcn.errors import ConfigError, MediaError
from lrcn.features import TorchEncoder, encode_video
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.reading import Excerpt
from lrcn.inference.captioning.search import caption_rules
from lrcn.inference.captioning.search_settings import CaptionSearch


@pytest.fixture(scope="module")
def captioner(tiny_caption_model: Path) -> Captioner:
    header, model = model_file.load(tiny_caption_model, task="captioning")
    return Captioner(header, model, name="tiny", batch_size=4)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Seven pictures of different shapes."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for i in range(7):
        path = folder / f"{i}.png"
        Image.fromarray(textured_frames(1, 80 + 7 * i, 110 - 5 * i, seed=i)[0]).save(path)
        paths.append(path)
    return paths


def test_a_caption_is_that_of_the_search_over_the_pictures_own_features(
    captioner: Captioner, pictures: list[Path]
) -> None:
    pixels = captioner.header.preprocess
    encoder = TorchEncoder(captioner.model.backbone, pixels)
    for path in pictures[:3]:
        context = captioner.model.context(encode_video(path, encoder, pixels).features)
        for size in (1, 3):
            state = captioner.model.initial_state(context)
            rules = caption_rules(max_length=9)
            if size == 1:
                ((expected,),) = greedy_search(captioner.model.step, state, batch_size=1, rules=rules)
            else:
                ((expected,),) = beam_search(captioner.model.step, state, batch_size=1, rules=rules, beam_size=size)
            result = captioner(path, beam_size=size, max_length=9)
            assert result.text.split() == captioner.vocabulary.decode(expected.token_ids)
            assert result.captions[0].log_prob == pytest.approx(expected.log_prob, abs=1e-3)


def test_pictures_say_the_same_alone_and_together(captioner: Captioner, pictures: list[Path]) -> None:
    together = captioner(list(pictures), num_captions=3)
    assert len({result.text for result in together}) > 1
    for path, result in zip(pictures, together, strict=True):
        alone = captioner(path, num_captions=3)
        assert [caption.text for caption in alone.captions] == [caption.text for caption in result.captions]
        assert alone.captions[0].log_prob == pytest.approx(result.captions[0].log_prob, abs=1e-3)
        assert result.source == str(path)
        assert result.duration_s == 0
        assert result.segments == ()


def test_draws_depend_on_picture_and_seed_alone(captioner: Captioner, pictures: list[Path]) -> None:
    options = {"num_samples": 5, "num_captions": 2, "temperature": 1.5, "seed": 3}
    alone = [captioner(path, **options) for path in pictures[:3]]
    together = captioner(list(pictures[:3])[::-1], **options)[::-1]
    assert [r.text for r in alone] == [r.text for r in together]
    assert [r.text for r in captioner(list(pictures[:3]), **{**options, "seed": 4})] != [r.text for r in alone]
    nearly_greedy = captioner(pictures[0], num_samples=1, top_k=1)
    assert nearly_greedy.text == captioner(pictures[0], beam_size=1).text
    best_of_many = captioner(pictures[0], num_samples=60, num_captions=60).captions
    assert [c.log_prob for c in best_of_many] == sorted((c.log_prob for c in best_of_many), reverse=True)


def test_the_unknown_word_is_said_only_if_asked_for(tiny_caption_model: Path, pictures: list[Path]) -> None:
    header, model = model_file.load(tiny_caption_model, task="captioning")
    with torch.no_grad():
        model.classifier.bias[3] = 50.0
    captioner = Captioner(header, model)
    assert "<unk>" not in captioner(pictures[0]).text
    assert captioner(pictures[0], unknown_words=True, max_length=3).text == "<unk> <unk> <unk>"


def test_a_model_that_says_nothing_is_warned_of(
    tiny_caption_model: Path, pictures: list[Path], make_clip: MakeClip, tmp_path: Path
) -> None:
    header, model = model_file.load(tiny_caption_model, task="captioning")
    assert not any(result.warnings for result in Captioner(header, model)(pictures[:2]))
    with torch.no_grad():
        model.classifier.bias[2] = 50.0
    video = make_clip(tmp_path / "v.avi", textured_frames(26, 72, 90, seed=4), 10)
    silent = Captioner(header, model)([*pictures[:2], video], segment_s=1.0)
    assert [result.text for result in silent] == [""] * 3
    for result, path in zip(silent, [*pictures[:2], video], strict=True):
        (warning,) = result.warnings
        assert warning.startswith(f"{path}: the model's most probable sentence is the empty one")


def test_exif_orientation_is_honoured(captioner: Captioner, tmp_path: Path) -> None:
    upright = Image.fromarray(textured_frames(1, 90, 72, seed=5)[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    upright.save(tmp_path / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png", exif=exif)
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "wrong.png")
    upright_result, lying, wrong = captioner([tmp_path / f"{name}.png" for name in ("upright", "lying", "wrong")])
    assert lying.captions == upright_result.captions
    assert wrong.captions != upright_result.captions


def test_an_array_is_a_picture_or_a_video(captioner: Captioner, pictures: list[Path]) -> None:
    pixels = np.asarray(Image.open(pictures[0]))
    expected = captioner(pictures[0])
    for source in (pixels, pixels[None]):
        result = captioner(source)
        assert result.captions == expected.captions
        assert result.source == "array"
    video = captioner(textured_frames(8, 72, 90))
    assert video.duration_s == pytest.approx(0.8)


def test_a_long_video_is_captioned_in_segments(captioner: Captioner, make_clip: MakeClip, tmp_path: Path) -> None:
    frames = textured_frames(26, 72, 90, seed=2)
    video = make_clip(tmp_path / "v.avi", frames, 10)
    result = captioner(video, segment_s=1.0)
    assert [(s.start_s, s.end_s) for s in result.segments] == [(0.0, 1.0), (1.0, 2.0), (2.0, 2.6)]
    for segment in result.segments:
        part = captioner(video, segment_s=None, start_s=segment.start_s, end_s=segment.end_s)
        assert part.segments == ()
        assert part.text == segment.captions[0].text
    short_end = captioner(video, segment_s=1.2)  # 0.2 s are left, which join the second part
    assert [(s.start_s, s.end_s) for s in short_end.segments] == [(0.0, 1.2), (1.2, 2.6)]
    assert captioner(video, segment_s=2.0).segments == ()
    assert captioner(video, segment_s=None).text == result.text
    assert result.duration_s == pytest.approx(2.6)


def test_features_arrive_in_order_with_their_places(
    captioner: Captioner, pictures: list[Path], make_clip: MakeClip, tmp_path: Path
) -> None:
    video = make_clip(tmp_path / "v.avi", textured_frames(12, 72, 90), 10)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    sources = [pictures[0], video, broken, pictures[1], pictures[2]]
    failed: list[str] = []
    read = dict(captioner.read_features(map(Excerpt, sources), on_failure=lambda source, exc: failed.append(str(exc))))
    assert list(read) == [0, 1, 3, 4]
    assert [len(features) for features in read.values()] == [1, 12, 1, 1]
    assert len(failed) == 1
    assert str(broken) in failed[0]
    part = dict(captioner.read_features([Excerpt(video, 0.2, 0.5)]))[0]
    torch.testing.assert_close(part, read[1][2:5])


def test_what_cannot_be_read_raises_or_is_reported(captioner: Captioner, pictures: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not much of a JPEG")
    with pytest.raises(MediaError, match=r"broken\.jpg"):
        captioner(broken)
    failed: list[str] = []
    results = list(captioner.stream([pictures[0], broken, pictures[1]], on_failure=lambda s, e: failed.append(str(s))))
    assert [result.source for result in results] == [str(pictures[0]), str(pictures[1])]
    assert failed == [str(broken)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "beam_size"),
        ({"num_captions": 6}, "between 1 and beam_size"),
        ({"num_samples": 2, "num_captions": 3}, "between 1 and num_samples"),
        ({"temperature": 0.5}, "set num_samples"),
        ({"max_length": 0}, "max_length"),
        ({"num_samples": -1}, "num_samples"),
        ({"length_penalty": 11}, "length_penalty must be between 0 and 10, got 11"),
        ({"num_samples": 2, "temperature": 0.0}, "temperature must be between"),
        ({"num_samples": 2, "top_k": 0}, "top_k"),
        ({"num_samples": 2, "top_p": 1.5}, "top_p"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_out_of_range(captioner: Captioner, pictures: list[Path], options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        captioner(pictures[0], **options)
    with pytest.raises(ConfigError, match=message):
        CaptionSearch(**options)


def test_settings_are_given_whole_or_by_name(captioner: Captioner, pictures: list[Path]) -> None:
    search = CaptionSearch(beam_size=3, num_captions=2, max_length=5)
    by_name = captioner(pictures[0], beam_size=3, num_captions=2, max_length=5)
    assert captioner(pictures[0], search=search).captions == by_name.captions
    assert captioner(pictures[0], search=search, num_captions=1).captions == by_name.captions[:1]
    assert [len(result.captions) for result in captioner(pictures[:2], search=search)] == [2, 2]
    with pytest.raises(TypeError, match="beam_sise"):
        captioner(pictures[0], beam_sise=3)


def test_lists_folders_and_globs_stand_for_their_pictures(captioner: Captioner, pictures: list[Path]) -> None:
    folder = pictures[0].parent
    expected = [str(path) for path in pictures]
    for sources in (folder, [folder], str(folder / "*.png"), pictures):
        assert [result.source for result in captioner.stream(sources)] == expected
    assert [result.source for result in captioner([folder, np.asarray(Image.open(pictures[0]))])] == [
        *expected,
        "array",
    ]
    for options in ({"start_s": 1.0}, {"end_s": 1.0}, {"on_progress": print}):
        with pytest.raises(ConfigError, match="are for one source"):
            captioner([pictures[0]], **options)
    with pytest.raises(MediaError, match="nothing matches"):
        next(captioner.stream(folder / "*.jpg"))
    failed: list[str] = []
    assert list(captioner.stream([folder / "gone.png"], on_failure=lambda s, e: failed.append(str(s)))) == []
    assert failed == [str(folder / "gone.png")]


def test_the_result_as_json(captioner: Captioner, pictures: list[Path]) -> None:
    result = captioner(pictures[0])
    fields = json.loads(result.to_json())
    assert fields["schema"] == 1
    assert fields["task"] == "captioning"
    assert fields["captions"][0]["text"] == result.text
    assert fields["model"] == {"name": "tiny", "sha256": captioner.header.sha256}
    assert set(fields["timing_s"]) == {"features", "captions", "total"}
