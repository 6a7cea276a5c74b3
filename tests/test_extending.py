"""CONTRIBUTING's table: one of each from outside the package does all that ours do, with nothing in it touched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import MakeClip, textured_frames
from torch import Tensor, nn

import lrcn
from lrcn import model_file
from lrcn.annotations import formats as annotation_formats
from lrcn.annotations.reading import ReadOptions as AnnotationReadOptions
from lrcn.cli import main
from lrcn.config import RecognitionConfig
from lrcn.data.captioning import readers as caption_readers
from lrcn.data.captioning.examples import CaptionData, CaptionExample, CaptionReadOptions
from lrcn.data.captioning.readers import CaptionReader, read_caption_data, register_caption_reader
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample
from lrcn.data.recognition.readers import READERS, Reader, read_recognition_data, register_reader
from lrcn.decoding import Hypothesis, TokenRules, beam_search
from lrcn.decoding.common import Step, without_banned
from lrcn.errors import ConfigError
from lrcn.evaluation.evaluating import evaluate
from lrcn.export.exporting import export_model
from lrcn.graphs import sessions
from lrcn.graphs.sessions import SESSIONS, Session
from lrcn.inference.captioning.search import caption_rules
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.inference.runtimes import RUNTIMES
from lrcn.metrics.captioning import METRICS, CaptionScore
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES, register_backbone
from lrcn.models.caption_decoder import TorchCaptionDecoder
from lrcn.models.heads import HEADS, Head, register_head
from lrcn.models.pooling import valid_steps
from lrcn.tasks import CAPTIONING
from lrcn.training.fit import train
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.writers import WRITERS, Add, Writer


class MeanColour(nn.Module):
    """A backbone of three numbers: the mean of each channel."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.mean(dim=(2, 3))


class Attention(Head):
    """A head that looks at a clip as a whole: frames weighted by one learnt score each."""

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        super().__init__(config, feature_size)
        self.score = nn.Linear(feature_size, 1)
        self.classifier = nn.Linear(feature_size, config.num_classes)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        scores = self.score(features)
        if lengths is not None:
            scores = scores.masked_fill(~valid_steps(lengths, scores).unsqueeze(2), -1e9)
            features = features.masked_fill(~valid_steps(lengths, features).unsqueeze(2), 0.0)
        return self.classifier((scores.softmax(dim=1) * features).sum(dim=1, keepdim=True))


def read_pairs(path: Path, options: ReadOptions) -> RecognitionData:
    """`video.avi -> label` a line, the split in the file name's first letter."""
    examples = []
    for line in (path / "pairs.toy").read_text().splitlines():
        name, label = line.split(" -> ")
        examples.append(RecognitionExample(path / name, label, {"t": "train", "v": "val", "e": "test"}[name[0]]))
    return RecognitionData(("blue", "red"), tuple(examples), "toy pairs")


@pytest.fixture
def toy_names() -> Iterator[None]:
    register_backbone("mean-colour", BackboneSpec(build=MeanColour, preprocess={"resize": 32, "crop": 32}))
    register_reader("toy-pairs", Reader(lambda path: (path / "pairs.toy").is_file(), read_pairs))
    register_head("attention", Attention)
    yield
    del BACKBONES["mean-colour"], READERS["toy-pairs"], HEADS["attention"]


@pytest.mark.usefixtures("toy_names")
@pytest.mark.parametrize("head", ["lstm", "attention", "lstm+statistics"])
def test_toy_backbone_head_and_reader_do_all_that_ours_do(head: str, tmp_path: Path, make_clip: MakeClip) -> None:
    root = tmp_path / "toy"
    root.mkdir()
    lines = []
    for split, count in (("t", 6), ("v", 2), ("e", 4)):
        for number in range(count):
            label, channel = (("blue", 2), ("red", 0))[number % 2]
            frames = np.random.default_rng(number).integers(0, 60, (8, 32, 32, 3), dtype=np.uint8)
            frames[..., channel] += 150
            make_clip(root / f"{split}{number}.avi", frames)
            lines.append(f"{split}{number}.avi -> {label}")
    (root / "pairs.toy").write_text("\n".join(lines))

    data = read_recognition_data(root)
    assert data.name == "toy pairs"
    config = RecognitionTrainingConfig(
        backbone="mean-colour",
        backbone_weights="none",
        head=head,
        hidden_size=8,
        clip_length=4,
        clip_stride=2,
        epochs=30,
        lr=0.02,
        runtime="torch",
        refit=False,
        epoch_steps=1,
    )
    result = train(config, data, output=tmp_path / "run", cache_dir=tmp_path / "cache", quiet=True)
    report = evaluate(result.model_path, root)
    assert (report.num_videos, report.top1) == (4, 1.0)

    recognizer = lrcn.load(result.model_path)
    assert isinstance(recognizer, lrcn.Recognizer)
    expected = recognizer(root / "e1.avi")
    assert expected.label == "red"
    export_model(result.model_path, tmp_path / "graphs")
    found = lrcn.load(tmp_path / "graphs")(root / "e1.avi")
    assert found.probs == pytest.approx(expected.probs, abs=1e-5)
    short = np.full((3, 32, 32, 3), 150, np.uint8)  # fewer frames than a window
    assert lrcn.load(tmp_path / "graphs")(short).probs == pytest.approx(recognizer(short).probs, abs=1e-5)
    streamed = list(StreamingRecognizer(recognizer).stream(root / "e1.avi"))
    assert len(streamed) == len(expected.segments) > 1
    for live, offline in zip(streamed, expected.segments, strict=True):
        assert list(live.probs) == pytest.approx(list(offline.probs), abs=1e-6)
    if head != "lstm":
        with pytest.raises(ConfigError, match=re.escape(f"the head '{head}' reads whole clips; use mode window")):
            StreamingRecognizer(recognizer, mode="carry")


@pytest.mark.usefixtures("toy_names")
def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="taken"):
        register_backbone("mean-colour", BackboneSpec(build=MeanColour))
    with pytest.raises(ConfigError, match="taken"):
        register_backbone("alexnet", BackboneSpec(build=MeanColour))
    with pytest.raises(ConfigError, match="taken"):
        register_head("lstm", Attention)
    with pytest.raises(ConfigError, match="taken"):
        register_reader("toy-pairs", Reader(lambda path: False, read_pairs))


def test_a_toy_runtime_is_checked_and_recognises(
    tiny_model: Path, clip20: Path, kept_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_toy(path: Path, precision: str) -> Session:
        opened.append(path.stem)
        return sessions._onnxruntime_session(path, precision)

    monkeypatch.setitem(SESSIONS, "toy", open_toy)
    monkeypatch.setitem(RUNTIMES, "toy", ("onnxruntime",))
    recognizer = lrcn.Recognizer.load(tiny_model, device="cpu", runtime="toy", cache_dir=kept_graphs)
    assert recognizer.runtime.name == "toy"
    assert {"backbone", "clip"} <= set(opened)
    expected = lrcn.Recognizer.load(tiny_model, device="cpu")(clip20)
    assert recognizer(clip20).probs == pytest.approx(expected.probs, abs=1e-5)

    monkeypatch.setitem(SESSIONS, "wrong", lambda path, precision: _a_bit_off(open_toy(path, precision)))
    monkeypatch.setitem(RUNTIMES, "wrong", ("onnxruntime",))
    with pytest.raises(ConfigError, match="runtime 'wrong' does not say what torch says"):
        lrcn.Recognizer.load(tiny_model, device="cpu", runtime="wrong", cache_dir=kept_graphs)


def _a_bit_off(session: Session) -> Session:
    return lambda inputs: [1.5 * output for output in session(inputs)]


@contextmanager
def open_labels(path: Path, task: str) -> Iterator[Add]:
    """One label a line."""
    with path.open("w") as file:
        yield lambda result: file.write(f"{result.label}\n")


def test_a_toy_writer_is_found_by_its_suffix(
    tiny_model: Path, clip20: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WRITERS, "labels", Writer(".labels", ("recognition",), open_labels))
    results = lrcn.Recognizer.load(tiny_model, device="cpu")([clip20, clip20])
    lrcn.write_results(results, tmp_path / "x.labels")
    assert (tmp_path / "x.labels").read_text().split() == [result.label for result in results]
    caption = lrcn.CaptionResult(source="a.png", duration_s=0.0, captions=(), segments=(), model={}, timing_s={})
    with pytest.raises(ConfigError, match=r"no format of captioning results has the suffix '\.labels'"):
        lrcn.write_results(caption, tmp_path / "y.labels")


def read_blinks(path: Path, options: AnnotationReadOptions) -> lrcn.Annotations:
    """One video and the seconds of its blinks a line."""
    recordings = []
    for line in path.read_text().splitlines():
        name, *times = line.split()
        bouts = tuple(lrcn.Bout("blink", float(time), float(time)) for time in times)
        recordings.append(lrcn.Recording(name, options.media.find(name), bouts))
    return lrcn.Annotations(path.name, tuple(recordings), ("blink",), num_events=sum(len(r.bouts) for r in recordings))


def write_blinks(annotations: lrcn.Annotations, path: Path) -> None:
    lines = [" ".join([one.name, *(str(bout.start_s) for bout in one.bouts)]) for one in annotations.recordings]
    path.write_text("\n".join(lines))


def test_a_toy_annotation_format_is_read_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(annotation_formats, "FORMATS", dict(annotation_formats.FORMATS))
    toy = lrcn.AnnotationFormat(".blinks", lambda path: path.suffix == ".blinks", read_blinks, write_blinks)
    lrcn.register_annotation_format("blinks", toy)
    (tmp_path / "a.blinks").write_text("a.avi 1.0 2.5\nb.avi")
    found = lrcn.read_annotations(tmp_path / "a.blinks")
    assert [len(one.bouts) for one in found.recordings] == [2, 0]
    assert main(["data", "import", str(tmp_path / "a.blinks"), "--output", str(tmp_path / "a.csv")]) == 0
    assert "2 events: 2 read, 0 skipped" in capsys.readouterr().out
    main(["data", "import", str(tmp_path / "a.csv"), "--output", str(tmp_path / "b.blinks")])
    assert (tmp_path / "b.blinks").read_text() == (tmp_path / "a.blinks").read_text()
    with pytest.raises(ConfigError, match="taken"):
        lrcn.register_annotation_format("blinks", toy)


def read_titles(path: Path, options: CaptionReadOptions) -> CaptionData:
    """Pictures that are named as what they show, all for the test split."""
    return CaptionData(
        tuple(
            CaptionExample(picture, (picture.stem.replace("_", " "),), "test", key=picture.stem)
            for picture in sorted(path.glob("*.png"))
        ),
        "titled pictures",
    )


def num_words(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, CaptionScore]:
    """A metric that likes long captions."""
    counts = tuple(float(len(text.split())) for text in candidates)
    return {"num_words": CaptionScore(sum(counts) / len(counts), counts)}


def test_a_toy_caption_layout_is_scored_by_a_toy_metric(
    tiny_caption_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(caption_readers, "READERS", dict(caption_readers.READERS))
    register_caption_reader("titles", CaptionReader(lambda path: any(path.glob("*.png")), read_titles))
    monkeypatch.setitem(METRICS, "num_words", num_words)
    for number, title in enumerate(("a_red_square", "a_blue_circle")):
        Image.fromarray(textured_frames(1, 72, 90, seed=number)[0]).save(tmp_path / f"{title}.png")
    assert [one.captions for one in read_caption_data(tmp_path).examples] == [("a blue circle",), ("a red square",)]
    report = evaluate(tiny_caption_model, tmp_path, device="cpu")
    said = [len(prediction.caption.split()) for prediction in report.predictions]
    assert report.scores["num_words"] == sum(said) / 2
    assert main(["evaluate", str(tiny_caption_model), str(tmp_path), "--device", "cpu", "--quiet"]) == 0
    assert "num_words" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="taken"):
        register_caption_reader("titles", CaptionReader(lambda path: False, read_titles))


def best_of_all(step: Step[Any], state: Any, rules: TokenRules) -> Hypothesis:
    """A strategy that tries every sequence."""

    def continued(tokens: tuple[int, ...], state: Any, total: float) -> Iterator[Hypothesis]:
        if len(tokens) == rules.max_length:
            yield Hypothesis(tokens, total, ended=False)
            return
        log_probs, after = step(torch.tensor([tokens[-1] if tokens else rules.bos_id]), state)
        for token, log_prob in enumerate(without_banned(log_probs, rules)[0].tolist()):
            if token == rules.eos_id:
                yield Hypothesis(tokens, total + log_prob, ended=True)
            elif token not in rules.banned_ids:
                yield from continued((*tokens, token), after, total + log_prob)

    return max(continued((), state, 0.0), key=lambda found: (found.ended, found.score()))


def test_a_toy_decoding_strategy_needs_a_step_a_state_and_rules(tiny_caption_model: Path) -> None:
    _, model = model_file.load(tiny_caption_model, task=CAPTIONING)
    decoder, rules = TorchCaptionDecoder(model), caption_rules(max_length=3)
    state = decoder.initial_state(decoder.contexts([torch.ones(1, 8)]))
    best = best_of_all(decoder.step, state, rules)
    (found,) = beam_search(decoder.step, state, batch_size=1, rules=rules, device=torch.device("cpu"), beam_size=300)
    assert found[0].token_ids == best.token_ids
    assert found[0].log_prob == pytest.approx(best.log_prob, abs=1e-5)
