"""`lrcn export` of captioning models: every variant, equal to torch; int8 judged on captions; nothing left behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import textured_frames

from lrcn import model_file
from lrcn.cli import main
from lrcn.config import CaptioningConfig, CaptioningHeader
from lrcn.errors import ConfigError, DataError, TaskMismatchError
from lrcn.export import captioning as captioning_graphs
from lrcn.export import exporting as graphs
from lrcn.export.captioning import CaptionSplitCheck
from lrcn.export.exporting import export_model
from lrcn.graphs.exported import read_exported
from lrcn.inference.captioning.graph_runtime import GraphCaptionDecoder
from lrcn.inference.captioning.parity import CaptionParity, CaptionParityCheck
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.retriever import Retriever
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.models.captioning import CaptioningModel

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caption data set of eight pictures."""
    root = tmp_path_factory.mktemp("pictures")
    with (root / "captions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "caption", "split"))
        for i in range(8):
            Image.fromarray(textured_frames(1, 80, 90, seed=i)[0]).save(root / f"{i}.png")
            writer.writerow((f"{i}.png", ("a red square", "a blue circle moves")[i % 2], "train" if i < 5 else "test"))
    return root


def caption_of(folder: Path, source: Any, **options: Any) -> Any:
    return Captioner.load(folder, device="cpu", **options)(source).captions[0]


@pytest.fixture(scope="module")
def folder(tiny_caption_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "exported"
    report = export_model(tiny_caption_model, output)
    assert report.parity.passed
    assert report.parity.captions_equal == 1.0
    assert report.task == "captioning"
    return output


def test_exported_folder_says_what_the_model_says(
    folder: Path, tiny_caption_model: Path, pictures: Path, clip20: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "backbone.onnx",
        "clip.onnx",
        "lrcn-export.json",
        "step.onnx",
    ]
    for source in (pictures / "0.png", pictures / "1.png", clip20):
        expected = caption_of(tiny_caption_model, source)
        for runtime in (None, "openvino"):
            found = caption_of(folder, source, runtime=runtime)
            assert found.text == expected.text
            assert found.log_prob == pytest.approx(expected.log_prob, abs=1e-3)
    assert main(["caption", str(pictures / "0.png"), "--model", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["captions"][0]["text"] == caption_of(folder, pictures / "0.png").text
    assert main(["evaluate", str(folder), str(pictures), "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["left_out"]["retrieval"] == "an exported folder holds no weights to score with"
    assert set(fields["baselines"]) == {"nearest_neighbour", "most_frequent"}
    with pytest.raises(ConfigError, match="retrieval needs the model file"):
        Retriever(Captioner.load(folder))
    with pytest.raises(TaskMismatchError, match="is a captioning model; use: lrcn caption"):
        Recognizer.load(folder)


@pytest.mark.parametrize(
    ("variant", "context", "projection_size", "format"),
    [("1u", "lstm", 0, "onnx"), ("2u", "mean", 3, "openvino"), ("2f", "lstm", 3, "onnx"), ("2f", "mean", 0, "onnx")],
)
def test_every_variant_equals_the_network(
    variant: str, context: str, projection_size: int, format: Any, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    config = CaptioningConfig(
        backbone=None, vector_size=5, vocabulary_size=10, embedding_size=4, hidden_size=6,
        variant=variant, context=context, projection_size=projection_size, feature_norm=variant != "1u",
    )  # fmt: skip
    model = CaptioningModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias_hh" not in name:
                parameter.normal_()
    header = CaptioningHeader(model=config, preprocess=None, vocabulary=tuple("abcdef"))
    model_file.save(tmp_path / "m.safetensors", header, model.state_dict())
    report = export_model(tmp_path / "m.safetensors", tmp_path / "out", format=format)
    assert report.parity.passed
    assert not (tmp_path / "out" / "backbone.onnx").exists()

    decoder = GraphCaptionDecoder(read_exported(tmp_path / "out"))
    features = [torch.randn(length, 5) for length in (3, 1, 6, 2)]
    with torch.no_grad():
        contexts = torch.cat([model.context(one[None]) for one in features])
        torch.testing.assert_close(decoder.contexts(features), contexts, rtol=1e-5, atol=1e-5)
        tokens = torch.randint(10, (4, 20))
        expected = model(contexts, tokens)
        torch.testing.assert_close(decoder.logits(contexts, tokens), expected, rtol=1e-4, atol=1e-5)
        state = decoder.initial_state(contexts)
        for t in range(5):
            log_probs, state = decoder.step(tokens[:, t], state)
            torch.testing.assert_close(log_probs, expected[:, t].log_softmax(-1), rtol=1e-4, atol=1e-5)
            order = torch.tensor([2, 0, 3, 1])
            state, tokens, expected = state.select(order), tokens[order], expected[order]
    with pytest.raises(ConfigError, match="sentences of 20 tokens, got 3"):
        decoder.logits(contexts, tokens[:, :3])


def test_parity_notices_other_weights(folder: Path, tiny_caption_model: Path) -> None:
    _, model = model_file.load(tiny_caption_model, task="captioning")
    decoder = GraphCaptionDecoder(read_exported(folder))
    assert CaptionParityCheck(model, None).measure(None, decoder).passed
    with torch.no_grad():
        model.lstm.layers[1].bias_ih_l0 += 0.01
    parity = CaptionParityCheck(model, None).measure(None, decoder)
    assert parity.step_error > 1e-4
    assert not parity.passed


def test_int8_is_judged_on_the_captions_of_the_split(
    tiny_caption_model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captioning_graphs, "LEAST_SHARE_OF_CIDER_D", 0.0)  # three pictures and a random network
    report = export_model(tiny_caption_model, tmp_path / "q", format="openvino", calibrate=pictures)
    assert report.parity.precision == "int8"
    assert 1e-6 < report.parity.feature_error < 0.5  # quantised, and not broken
    assert report.split.num_examples == 3
    said = [
        [caption_of(model, pictures / f"{i}.png").text for i in (5, 6, 7)]
        for model in (tmp_path / "q", tiny_caption_model)
    ]
    assert report.split.captions_equal == pytest.approx(np.mean([a == b for a, b in zip(*said, strict=True)]))
    assert Captioner.load(tmp_path / "q").runtime.name == "openvino-int8"


def test_nothing_is_left_where_captions_suffer(
    tiny_caption_model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(header: Any, model: Any, folder: Path, format: Any, *, calibration: Any) -> None:
        assert sum(len(crops) for crops in calibration) == 4  # the training pictures, one of which is for validation
        (folder / "backbone.onnx").write_text("a graph")

    checked = [
        (CaptionParity("int8", 0.1, 0.1, 0.1, 1e-6, 0.5), CaptionSplitCheck("test", 3, 0.4, 1.89, 2.0)),
        (CaptionParity("int8", 0.1, 0.1, 0.1, 1e-3, 0.5), None),
    ]
    monkeypatch.setattr(graphs, "write_graphs", written)
    for found, message in zip(checked, (r"from 2\.000 to 1\.890 \(3 examples; limit 5%\)", "do not say"), strict=True):
        monkeypatch.setattr(captioning_graphs.CaptioningExport, "check", lambda self, exported, found=found: found)
        with pytest.raises(ConfigError, match=message):
            export_model(tiny_caption_model, tmp_path / "r", format="openvino", calibrate=pictures)
    assert list(tmp_path.iterdir()) == []


def test_data_of_another_kind_is_refused(tiny_caption_model: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(DataError):
        export_model(tiny_caption_model, tmp_path / "out", calibrate=tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
