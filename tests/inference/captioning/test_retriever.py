"""Retrieval: scores equal to the forward pass, sentence by sentence; ranks as the released code has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import textured_frames

from lrcn import model_file
from lrcn.config import CaptioningConfig
from lrcn.errors import ConfigError, DataError, MediaError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.reading import Excerpt
from lrcn.inference.captioning.retriever import Retriever
from lrcn.models import caption_scoring
from lrcn.models.caption_scoring import PROB_FLOOR, score_sentences
from lrcn.models.captioning import CaptioningModel

TEXTS = ["a red square", "a blue circle moves", "a red circle", "circle", "a zebra moves", "A RED square."]


@pytest.fixture(scope="module")
def retriever(tiny_caption_model: Path) -> Retriever:
    header, model = model_file.load(tiny_caption_model, task="captioning")
    return Retriever(Captioner(header, model, name="tiny"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        Image.fromarray(textured_frames(1, 80, 90, seed=i)[0]).save(folder / f"{i}.png")
    return sorted(folder.iterdir())


def by_hand(
    model: CaptioningModel, contexts: torch.Tensor, sentences: list[list[int]], *, end: bool, floor: bool
) -> np.ndarray:
    """One picture, one sentence at a time, through the forward pass of training."""
    scores = np.zeros((len(contexts), len(sentences)))
    for i, context in enumerate(contexts):
        for j, ids in enumerate(sentences):
            logits = model(context[None], torch.tensor([ids[:-1]]))[0]
            log_probs = logits.log_softmax(1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
            if floor:
                log_probs = log_probs.clamp(min=np.log(PROB_FLOOR))
            scores[i, j] = (log_probs if end else log_probs[:-1]).sum().item()
    return scores


@pytest.mark.parametrize("variant", ["1u", "2u", "2f"])
@pytest.mark.parametrize("at_once", [2**24, 40])
def test_scores_equal_the_forward_pass(variant: str, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption_scoring, "VALUES_AT_ONCE", at_once)
    torch.manual_seed(0)
    config = CaptioningConfig(
        backbone=None, vector_size=5, vocabulary_size=12, embedding_size=6, hidden_size=7, variant=variant
    )
    model = CaptioningModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=1.5)
        model.classifier.bias[5] = -60.0  # below the floor
    sentences = [[1, 4, 5, 2], [1, 4, 2], [1, 4, 5, 6, 7, 2], [1, 9, 3, 2], [1, 4, 5, 2], [1, 11, 2]]
    contexts = torch.randn(3, 5)
    for end, floor in ((True, False), (False, True)):
        scores = score_sentences(model, contexts, sentences, score_end=end, floor=floor)
        np.testing.assert_allclose(
            scores.numpy(), by_hand(model, contexts, sentences, end=end, floor=floor), rtol=1e-5, atol=1e-4
        )


def test_pictures_are_ranked_by_the_probability_of_the_sentence(retriever: Retriever, pictures: list[Path]) -> None:
    captioner = retriever.captioner
    features = [features for _, features in captioner.read_features([_part(path) for path in pictures])]
    contexts = captioner.contexts(features)
    sentences, _ = retriever.encode_texts(TEXTS[:1])
    expected = by_hand(captioner.model, contexts, sentences, end=False, floor=True)[:, 0]
    result = retriever.rank_images(TEXTS[0], pictures, top_k=None)
    assert [match.index for match in result.matches] == np.argsort(-expected).tolist()
    assert [match.item for match in result.matches] == [str(pictures[i]) for i in np.argsort(-expected)]
    # normalised: a score is how much more probable than on average
    scores = np.array([match.score for match in sorted(result.matches, key=lambda match: match.index)])
    np.testing.assert_allclose(scores, expected - np.log(np.mean(np.exp(expected))), atol=1e-4)
    assert result.scoring == "release"
    assert len(retriever.rank_images(TEXTS[0], pictures, top_k=2).matches) == 2


def _part(path: Path) -> Excerpt:
    return Excerpt(path)


def test_a_background_ranks_captions_as_the_release_does(retriever: Retriever, pictures: list[Path]) -> None:
    captioner = retriever.captioner
    contexts = captioner.contexts([f for _, f in captioner.read_features([_part(path) for path in pictures])])
    sentences, _ = retriever.encode_texts(TEXTS)
    matrix = by_hand(captioner.model, contexts, sentences, end=False, floor=True)
    expected = matrix[0] - np.log(np.exp(matrix).mean(axis=0))
    result = retriever.rank_captions(pictures[0], TEXTS, background=pictures[1:], top_k=None)
    assert result.scoring == "release"
    np.testing.assert_allclose([m.score for m in result.matches], -np.sort(-expected), atol=1e-4)

    plain = retriever.rank_captions(pictures[0], TEXTS, top_k=None)
    assert plain.scoring == "plain"
    full = by_hand(captioner.model, contexts[:1], sentences, end=True, floor=False)[0]
    np.testing.assert_allclose([m.score for m in plain.matches], -np.sort(-full), atol=1e-4)
    assert plain.matches[0].item in TEXTS
    assert result.warnings == ("words that the model does not know: zebra",)


def test_bad_queries(retriever: Retriever, pictures: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no word"):
        retriever.rank_images("...", pictures)
    with pytest.raises(DataError, match="no sentence"):
        retriever.rank_captions(pictures[0], [])
    with pytest.raises(DataError, match="no picture to search"):
        retriever.rank_images("a red square", [])
    with pytest.raises(MediaError, match="broken"):
        retriever.rank_images("a red square", [broken])
    with pytest.raises(ConfigError, match="background"):
        retriever.rank_captions(pictures[0], TEXTS, scoring="release")
    with pytest.raises(ConfigError, match="top_k"):
        retriever.rank_images("a red square", pictures, top_k=0)
    failed: list[str] = []
    result = retriever.rank_images(
        "a red square", [broken, *pictures], on_failure=lambda source, exc: failed.append(str(source)), top_k=None
    )
    assert failed == [str(broken)]
    assert sorted(match.index for match in result.matches) == [1, 2, 3, 4, 5]
