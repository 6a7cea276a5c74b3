"""The caption report: its numbers are those of the metrics on what the captioner says, and its page shows them."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import CHROMIUM_FLAGS, MakeClip, textured_frames

from lrcn.cli import main
from lrcn.config import CaptioningConfig, CaptioningHeader
from lrcn.errors import DataError
from lrcn.evaluation.captioning.page import PageItem, write_page
from lrcn.evaluation.captioning.report import CaptionReport
from lrcn.evaluation.evaluating import evaluate
from lrcn.features import FeatureCache, Part, TorchEncoder, encode_video, features_key
from lrcn.inference.captioning.predictor import Captioner
from lrcn.metrics.captioning import score_captions
from lrcn.model_file.storage import save
from lrcn.models.captioning import CaptioningModel
from lrcn.text import tokenise

SENTENCES = ["a red square", "a blue circle moves", "a red circle", "circle", "a blue square", "a square moves"]


@pytest.fixture(scope="module")
def captioner(tiny_caption_model: Path) -> Captioner:
    return Captioner.load(tiny_caption_model, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """Six training pictures; in the test split four pictures, of which one is broken, and a part of a video."""
    folder = tmp_path_factory.mktemp("set")
    rows = ["path,caption,split,start_s,end_s"]
    for i in range(10):
        split = "train" if i < 6 else "test"
        Image.fromarray(textured_frames(1, 72, 90, seed=i)[0]).save(folder / f"{i}.png")
        rows += [f"{i}.png,{SENTENCES[i % 6]},{split},,", f"{i}.png,{SENTENCES[0]},{split},,"]
    (folder / "9.png").write_bytes(b"no picture")
    make_clip(folder / "v.avi", textured_frames(20, 72, 90, seed=20), 10)
    rows.append('v.avi,"A <script>alert(1)</script> & ""square""",test,0.5,1.5')
    (folder / "captions.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def report(captioner: Captioner, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> CaptionReport:
    return evaluate(captioner, folder, cache_dir=tmp_path_factory.mktemp("cache"))


def test_scores_are_the_metrics_of_what_the_captioner_says(
    report: CaptionReport, captioner: Captioner, folder: Path
) -> None:
    said = [captioner(folder / f"{i}.png").text for i in (6, 7, 8)]
    said.append(captioner(folder / "v.avi", start_s=0.5, end_s=1.5, segment_s=None).text)
    assert [one.caption for one in report.predictions] == said
    references = [[" ".join(tokenise(text)) for text in one.references] for one in report.predictions]
    expected = score_captions([" ".join(tokenise(text)) for text in said], references).scores
    for name in ("bleu_1", "bleu_4", "rouge_l", "cider_d"):
        assert report.scores[name] == pytest.approx(expected[name].corpus, abs=1e-12)
    assert report.predictions[1].scores["rouge_l"] == pytest.approx(expected["rouge_l"].per_item[1])
    assert report.num_examples == 4
    assert [failure.path for failure in report.failures] == [str(folder / "9.png")]
    assert ("meteor" in report.scores) != ("meteor" in report.left_out)
    assert report.search["beam_size"] == 5


def test_baselines_are_the_nearest_and_the_most_frequent(
    report: CaptionReport, captioner: Captioner, folder: Path
) -> None:
    pixels = captioner.header.preprocess
    encoder = TorchEncoder(captioner.model.backbone, pixels)
    train = [encode_video(folder / f"{i}.png", encoder, pixels).features[0].mean(0).numpy() for i in range(6)]
    for i, one in zip((6, 7, 8), report.predictions, strict=False):
        asked = encode_video(folder / f"{i}.png", encoder, pixels).features[0].mean(0).numpy()
        cosines = np.array([known @ asked / np.linalg.norm(known) / np.linalg.norm(asked) for known in train])
        # the first of those that float16, in which training features are kept, cannot tell apart
        assert one.nearest in [SENTENCES[place] for place in np.flatnonzero(cosines > cosines.max() - 1e-3)]
        assert cosines.min() < cosines.max() - 0.01
    references = [[" ".join(tokenise(text)) for text in one.references] for one in report.predictions]
    expected = score_captions(["a red square"] * 4, references, metrics=["cider_d"]).scores["cider_d"].corpus
    assert report.baselines["most_frequent"]["cider_d"] == pytest.approx(expected)
    assert report.baselines["most_frequent"]["exact"] == 0.75
    assert set(report.baselines) == {"nearest_neighbour", "most_frequent"}


def test_the_baseline_takes_training_features_of_the_captioners_runtime_from_the_cache(
    tiny_caption_model: Path, folder: Path, tmp_path: Path
) -> None:
    captioner = Captioner.load(tiny_caption_model, device="cpu", runtime="onnxruntime", cache_dir=tmp_path / "graphs")
    evaluate(captioner, folder, retrieval_limit=0, cache_dir=tmp_path)
    key = features_key(captioner.model, captioner.header.preprocess, "onnxruntime")
    assert FeatureCache(tmp_path / "features", key).has(Part(folder / "0.png"))


def test_retrieval_counts_every_caption_and_picture(report: CaptionReport) -> None:
    assert report.retrieval["caption_to_image"]["num_queries"] == 7
    assert report.retrieval["image_to_caption"]["num_queries"] == 4
    for direction in report.retrieval.values():
        assert 0 <= direction["recall_at_1"] <= direction["recall_at_5"] <= direction["recall_at_10"] <= 1


def test_a_caption_of_no_word_is_scored(captioner: Captioner, folder: Path, tiny_caption_model: Path) -> None:
    silent = Captioner.load(tiny_caption_model, device="cpu")
    with torch.no_grad():
        silent.model.classifier.bias[2] = 100.0
    report = evaluate(silent, folder, baselines=False)
    assert {one.caption for one in report.predictions} == {""}
    assert all(np.isfinite(score) for score in report.scores.values())
    assert report.scores["exact"] == 0
    assert report.baselines == {}


def test_without_a_readable_training_picture_there_is_no_neighbour(captioner: Captioner, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    Image.fromarray(textured_frames(1, 72, 90, seed=1)[0]).save(tmp_path / "good.png")
    (tmp_path / "captions.csv").write_text("path,caption,split\nbad.jpg,a cat,train\ngood.png,a dog,test\n")
    report = evaluate(captioner, tmp_path, cache_dir=tmp_path / "cache", retrieval_limit=0)
    assert report.num_examples == 1
    assert set(report.baselines) == {"most_frequent"}
    assert report.left_out["nearest_neighbour"] == "no training picture can be read"


def test_without_training_captions_the_baselines_are_left_out(captioner: Captioner, folder: Path) -> None:
    report = evaluate(captioner, folder, split="train", retrieval_limit=2)
    assert report.left_out["baselines"] == "no training captions other than these"
    assert report.retrieval["image_to_caption"]["num_queries"] == 2
    with pytest.raises(DataError, match="no 'tset' split"):
        evaluate(captioner, folder, split="tset")


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.images: list[str] = []
        self.texts: list[str] = []
        self.unbalanced = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.unbalanced |= not self.open or self.open.pop() != tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_saved_files(report: CaptionReport, tmp_path: Path) -> None:
    paths = report.save(tmp_path / "out")
    assert json.loads(paths[0].read_text())["scores"] == report.scores
    with paths[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["caption"] for row in rows] == [one.caption for one in report.predictions]
    page = Page(paths[2].read_text(encoding="utf-8"))
    assert not page.unbalanced
    assert page.open == []
    assert "script" not in page.tags
    assert 'A <script>alert(1)</script> & "square"' in page.texts
    assert page.tags.count("article") == 3 * 4
    sizes = []
    for source in page.images[:4]:
        kind, _, content = source.partition(",")
        assert kind == "data:image/jpeg;base64"
        sizes.append(Image.open(io.BytesIO(base64.b64decode(content))).size)
    assert sorted(sizes) == [(200, 160), (200, 160), (200, 160), (600, 160)]  # the video shows three frames
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == [
        "captions.html",
        "predictions.csv",
        "report.json",
    ]


def test_a_browser_runs_nothing_that_a_caption_says(chromium: str, tmp_path: Path) -> None:
    evil = """"><img src=x onerror="document.body.textContent='hacked'"><script>document.title='hacked'</script>"""
    item = PageItem("nowhere.png", 0.0, None, evil, {evil: evil}, [evil, "a dog"], {"cider_d": 1.0})
    write_page(tmp_path / "page.html", evil, {"cider_d": 1.0}, [item], order_by="cider_d")
    profile, page_path = f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()
    shown = subprocess.run(
        [chromium, "--headless", *CHROMIUM_FLAGS, profile, "--dump-dom", page_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    page = Page(shown)
    assert page.tags.count("article") == 3
    assert "a dog" in page.texts
    assert "script" not in page.tags
    assert "hacked" not in page.texts


def test_the_page_puts_the_best_and_the_worst_first(tmp_path: Path) -> None:
    items = [
        PageItem(f"nowhere/{i}.png", 0.0, None, f"caption {i}", {}, ["a"], {"cider_d": float(i % 100)})
        for i in range(100)
    ]
    write_page(tmp_path / "page.html", "t", {}, items, order_by="cider_d")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    captions = [text for text in page.texts if text.startswith("caption")]
    assert captions[:40] == [f"caption {i}" for i in range(99, 59, -1)]
    assert captions[40:80] == [f"caption {i}" for i in range(40)]
    assert len(set(captions[80:])) == 40
    assert page.texts.count("(no picture)") == 120


def test_the_command_prints_scores_and_writes_the_page(
    tiny_caption_model: Path,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    command = ["evaluate", str(tiny_caption_model), str(folder), "--beam-size", "2"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 3
    captured = capsys.readouterr()
    assert "CIDEr-D" in captured.out
    assert "nearest neighbour" in captured.out
    assert "caption to image" in captured.out
    assert "1 of 5 files failed" in captured.err
    assert (tmp_path / "out" / "captions.html").exists()
    assert main([*command, "--json", "--no-baselines", "--retrieval-limit", "0"]) == 3
    fields = json.loads(capsys.readouterr().out)
    assert fields["task"] == "captioning"
    assert fields["search"]["beam_size"] == 2
    assert fields["retrieval"] == {}
    assert main([*command, "--crops", "10"]) == 2
    assert capsys.readouterr().err == (
        "lrcn: error: --flow-model, --rgb-weight, --crops, --flow-dir and --split-number are for recognition models\n"
    )


def test_models_and_data_of_different_tasks_are_one_line(
    tiny_model: Path,
    tiny_caption_model: Path,
    folder: Path,
    clip20: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["evaluate", str(tiny_model), str(folder)]) == 1
    error = capsys.readouterr().err
    assert error == f"lrcn: error: {folder}: holds captions, and classes are wanted: use a captioning model\n"
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "clip.avi").write_bytes(clip20.read_bytes())
    assert main(["evaluate", str(tiny_caption_model), str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"lrcn: error: {tmp_path}: no captions recognised here; write captions.csv")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_of_ready_vectors_is_evaluated_on_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = CaptioningConfig(backbone=None, vector_size=3, vocabulary_size=10, embedding_size=4, hidden_size=5)
    words = ("a", "red", "blue", "square", "circle", "moves")
    model = tmp_path / "model.safetensors"
    header = CaptioningHeader(model=config, preprocess=None, vocabulary=words)
    save(model, header, CaptioningModel(config).state_dict())
    data = tmp_path / "captions.csv"
    data.write_text("path,caption,split\nx,a red square,train\ny,a blue circle,test\nz,a circle moves,test\n")
    vectors = tmp_path / "vectors.csv"
    vectors.write_text("id,a,b,c\nx,1,0,0\ny,1,0.1,0\nz,0,1,1\n")
    assert main(["evaluate", str(model), str(data), "--vectors", str(vectors), "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["num_examples"] == 2
    assert [one["nearest"] for one in fields["predictions"]] == ["a red square"] * 2
    vectors.write_text("id,a,b,c\nx,1,0,0\ny,1,0.1,0\n")
    assert main(["evaluate", str(model), str(data), "--vectors", str(vectors)]) == 1
    error = capsys.readouterr().err
    assert error == "lrcn: error: no vector for 'z' in the file of vectors; every example needs one\n"
    vectors.write_text("id,a,b\nx,1,0\ny,1,0.1\nz,0,1\n")
    assert main(["evaluate", str(model), str(data), "--vectors", str(vectors)]) == 1
    assert capsys.readouterr().err == f"lrcn: error: {vectors}: vectors of 2 values, and {model} reads 3\n"
