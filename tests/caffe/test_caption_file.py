"""Captioning caffemodels become model files that compute what a real Caffe computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.caffe.caffe_bytes import GOLDEN, write_rule_net
from tests.caffe.test_captions import IMAGE_NET, _language_net

from lrcn.caffe.importing import import_caffe
from lrcn.cli import main
from lrcn.config import CaptioningHeader
from lrcn.decoding import beam_search
from lrcn.errors import DataError, LRCNError, TaskMismatchError
from lrcn.inference.captioning.search import caption_rules
from lrcn.model_file import load
from lrcn.models.captioning import CaptionState
from lrcn.models.lstm import LSTMState
from lrcn.text import Vocabulary

WORDS = ["<unk>", *(f"word{number}" for number in range(2, 23))]
OURS = [Vocabulary.EOS, Vocabulary.UNK, *range(4, 25)]
"""Caffe's words, by ours: the end, the unknown word, the others."""


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "vocabulary.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return path


@pytest.mark.parametrize("variant", ["1u", "2u", "2f"])
def test_the_model_file_computes_what_caffe_computed(tmp_path: Path, words: Path, variant: str) -> None:
    golden = dict(np.load(GOLDEN / f"caption_{variant}.npz"))
    report = import_caffe(GOLDEN / f"caption_{variant}.caffemodel", labels=words, output=tmp_path / "m.safetensors")
    header, model = load(report.path, task="captioning")
    assert header == report.header
    assert (header.model.variant, header.model.vector_size, header.preprocess) == (variant, 9, None)
    assert header.vocabulary == tuple(WORDS[1:])
    assert header.provenance["caffemodel"] == f"caption_{variant}.caffemodel"

    cont = torch.from_numpy(golden["cont_sentence"])
    context = model.context(torch.from_numpy(golden["image_features"]).unsqueeze(1))
    state, found = model.initial_state(context), []
    with torch.inference_mode():
        for t, given in enumerate(golden["input_sentence"].astype(int)):
            keep = cont[t].unsqueeze(1)
            lstm = LSTMState(state.lstm.hidden * keep, state.lstm.cell * keep)
            # at the start of a sentence Caffe's word 0 is the beginning, elsewhere the end
            tokens = [Vocabulary.BOS if not c and not w else OURS[w] for w, c in zip(given, cont[t], strict=True)]
            log_probs, state = model.step(torch.tensor(tokens), CaptionState(lstm, context))
            found.append(log_probs)
    probs = torch.stack(found).exp().numpy()
    assert np.abs(probs[..., OURS] - golden["probs"]).max() <= 1e-4 * golden["probs"].max()
    np.testing.assert_allclose(probs[..., OURS], golden["probs"], rtol=1e-4)
    assert not probs[..., [Vocabulary.PAD, Vocabulary.BOS]].any()


def test_whole_sentences_are_forced_as_in_caffe(tmp_path: Path, words: Path) -> None:
    golden = dict(np.load(GOLDEN / "caption_2f.npz"))
    report = import_caffe(GOLDEN / "caption_2f.caffemodel", labels=words, output=tmp_path / "m.safetensors")
    _, model = load(report.path, task="captioning")
    steps = 1
    while steps < len(golden["cont_sentence"]) and golden["cont_sentence"][steps].all():
        steps += 1  # up to where a sentence of the fixture starts anew
    tokens = torch.tensor([[OURS[word] for word in row] for row in golden["input_sentence"].astype(int)[:steps].T])
    context = model.context(torch.from_numpy(golden["image_features"]).unsqueeze(1))
    logits = model(context, tokens).detach().numpy().transpose(1, 0, 2)[..., OURS]
    expected = golden["predict"][:steps]
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


def test_an_imported_net_captions_an_image(tmp_path: Path, words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_net = write_rule_net(IMAGE_NET, tmp_path / "image.caffemodel").read_bytes()
    path = tmp_path / "net.caffemodel"
    path.write_bytes(image_net + _language_net())
    output = tmp_path / "m.safetensors"
    assert main(["import-caffe", str(path), "--labels", str(words), "--output", str(output)]) == 0
    assert capsys.readouterr().out == (
        f"{output}: captioning net 2f of 12 units on fc8 of hybrid, 21 words\n"
        "taken: conv1, conv2, conv3, conv4, conv5, fc6, fc7, fc8, embedding, lstm1, lstm2, predict\n"
        "ignored: none\n"
    )
    header, model = load(output, task="captioning")
    assert isinstance(header, CaptioningHeader)
    assert header.preprocess is not None
    pixels = header.preprocess
    assert (pixels.resize, pixels.crop, pixels.channel_order) == ((256, 256), 227, "bgr")
    assert (pixels.std, pixels.stream) == ((1.0, 1.0, 1.0), "rgb")
    context = model.context(model.encode(torch.randn(1, 3, 227, 227)).unsqueeze(1))
    said = beam_search(
        model.step, model.initial_state(context), batch_size=1, beam_size=5, rules=caption_rules(max_length=6)
    )
    assert all(word.startswith("word") for word in Vocabulary(header.vocabulary).decode(said[0][0].token_ids))


def test_a_net_without_an_unknown_word_never_says_one(tmp_path: Path, words: Path) -> None:
    words.write_text("\n".join(f"w{number}" for number in range(22)))
    report = import_caffe(GOLDEN / "caption_1u.caffemodel", labels=words, output=tmp_path / "m.safetensors")
    header, model = load(report.path, task="captioning")
    assert len(header.vocabulary) == 22
    log_probs, _ = model.step(torch.tensor([Vocabulary.BOS]), model.initial_state(torch.randn(1, 9)))
    assert log_probs[0, Vocabulary.UNK].exp() == 0
    assert log_probs.exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("a\nb\n", DataError, r"vocabulary\.txt: 2 words, the net has 23 outputs; expected 22"),
        ("\n".join(["a"] * 22), DataError, "the word 'a' stands there twice"),
        ("\n".join(["<pad>", *map(str, range(21))]), DataError, "the word '<pad>' is a token of this package"),
        (b"\xff\xfe\x00", DataError, "not a text file of words"),
        (None, DataError, "cannot be read"),
    ],
)
def test_words_that_do_not_fit_are_one_line(
    tmp_path: Path, words: Path, content: str | bytes | None, error: type[LRCNError], message: str
) -> None:
    if content is None:
        words.unlink()
    else:
        words.write_bytes(content.encode() if isinstance(content, str) else content)
    output = tmp_path / "m.safetensors"
    with pytest.raises(error, match=message) as caught:
        import_caffe(GOLDEN / "caption_1u.caffemodel", labels=words, output=output)
    assert "\n" not in str(caught.value)
    assert not output.exists()


def test_a_captioning_net_has_no_flow_stream(tmp_path: Path, words: Path) -> None:
    with pytest.raises(TaskMismatchError, match=r"looks at RGB images: leave out --stream flow"):
        import_caffe(GOLDEN / "caption_1u.caffemodel", labels=words, output=tmp_path / "m.safetensors", stream="flow")
