"""The CNN of a captioning model on other runtimes: the same words, made and checked once, refused where they differ."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import textured_frames

import lrcn
from lrcn import model_file
from lrcn.cli import main
from lrcn.config import CaptioningConfig, CaptioningHeader
from lrcn.encoding import FrameEncoder
from lrcn.errors import ConfigError
from lrcn.inference import runtimes as choose
from lrcn.inference.captioning import opening
from lrcn.inference.captioning import parity as caption_parity
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.retriever import Retriever
from lrcn.models.captioning import CaptioningModel
from lrcn.video.write import write_video

PICTURES = [textured_frames(1, 80 + i, 90, seed=i)[0] for i in range(4)]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_another_runtime_says_the_same_words(name: str, tiny_caption_model: Path, cache_dir: Path) -> None:
    pytest.importorskip(name)
    expected = Captioner.load(tiny_caption_model, device="cpu")
    found = lrcn.load(tiny_caption_model, device="cpu", runtime=name, cache_dir=cache_dir)
    assert isinstance(found, Captioner)
    assert found.runtime is not None
    assert found.runtime.name == name
    for ours, theirs in zip(found(PICTURES), expected(PICTURES), strict=True):
        assert ours.text == theirs.text
        assert ours.captions[0].log_prob == pytest.approx(theirs.captions[0].log_prob, abs=1e-3)
    ranked, plain = (Retriever(one).rank_images("a red square", PICTURES) for one in (found, expected))
    assert [match.index for match in ranked.matches] == [match.index for match in plain.matches]
    graphs = [path.name for path in cache_dir.rglob("*.onnx")]
    assert graphs == ["backbone.onnx"]  # the rest runs in torch; both runtimes share the graph


def test_a_runtime_is_checked_once_and_refused_where_words_differ(
    tiny_caption_model: Path, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    shutil.copytree(cache_dir, tmp_path, dirs_exist_ok=True)  # the graph takes some seconds to make
    for verdict in tmp_path.rglob("*.json"):
        verdict.unlink()
    measured: list[str] = []
    measure = caption_parity.CaptionParityCheck.measure

    class Worse(choose.GraphEncoder):
        def encode(self, images: np.ndarray, view: object) -> np.ndarray:
            return super().encode(images, view) * np.float32(1.01)

    def counted(self: object, encoder: FrameEncoder, decoder: object = None) -> object:
        measured.append(encoder.name)
        return measure(self, encoder, decoder)

    monkeypatch.setattr(caption_parity.CaptionParityCheck, "measure", counted)
    monkeypatch.setattr(choose, "GraphEncoder", Worse)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"runtime 'onnxruntime' does not say what torch says; .*of words"):
            Captioner.load(tiny_caption_model, device="cpu", runtime="onnxruntime", cache_dir=tmp_path)
    assert measured == ["onnxruntime"]


def test_models_of_ready_vectors_have_no_cnn_to_run(tmp_path: Path) -> None:
    config = CaptioningConfig(backbone=None, vector_size=5, vocabulary_size=10, embedding_size=4, hidden_size=6)
    header = CaptioningHeader(model=config, preprocess=None, vocabulary=tuple("abcdef"))
    model_file.save(tmp_path / "m.safetensors", header, CaptioningModel(config).state_dict())
    with pytest.raises(ConfigError, match="ready vectors has no CNN to run: leave --runtime away"):
        Captioner.load(tmp_path / "m.safetensors", device="cpu", runtime="onnxruntime", cache_dir=tmp_path)
    captioner = Captioner.load(tmp_path / "m.safetensors", device="cpu")
    assert captioner.contexts([torch.ones(2, 5)]).shape == (1, 5)
    with pytest.raises(ConfigError, match="reads ready vectors of 5 values, not pictures"):
        captioner(PICTURES[0])


def test_commands_take_a_runtime(
    tiny_caption_model: Path,
    tmp_path: Path,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxruntime")
    opened: list[str] = []

    def kept(name: str, *args: object, **kwargs: object) -> FrameEncoder:
        opened.append(name)
        return open_caption_runtime(name, *args, **{**kwargs, "cache_dir": cache_dir / "runtimes"})

    open_caption_runtime = opening.open_caption_runtime
    monkeypatch.setattr("lrcn.inference.captioning.predictor.open_caption_runtime", kept)
    clip = tmp_path / "v.mp4"
    write_video(clip, iter(textured_frames(6, 72, 90)), fps=10)
    model = ("--model", str(tiny_caption_model), "--runtime", "onnxruntime", "--device", "cpu")
    assert main(["caption", str(clip), "--json", *model]) == 0
    expected = Captioner.load(tiny_caption_model, device="cpu")(clip).text
    assert json.loads(capsys.readouterr().out)["captions"][0]["text"] == expected
    assert main(["retrieve", "--images", str(tmp_path), "--text", "a circle", *model]) == 0
    assert opened == ["onnxruntime", "onnxruntime"]
    assert main(["caption", str(clip), "--model", str(tiny_caption_model), "--runtime", "openvino-int8"]) == 1
    assert "runs exported folders; make one: lrcn export" in capsys.readouterr().err
