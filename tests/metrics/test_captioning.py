"""Caption metrics against pycocoevalcap: frozen scores, and live where it is installed; CIDEr against its equations."""

from __future__ import annotations

import importlib.util
import math
import random
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrcn.errors import DataError, MissingExtraError, UnknownNameError
from lrcn.metrics import captioning
from lrcn.metrics.captioning import bleu, cider, cider_d, meteor, rouge_l, score_captions
from lrcn.metrics.cider import CIDErScorer
from lrcn.metrics.meteor import why_no_meteor

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d")


def golden_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_caption_goldens", GOLDEN / "make_caption_goldens.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(candidates: list[str], references: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    scores = score_captions(candidates, references, metrics=("bleu", "rouge_l", "cider_d")).scores
    return np.array([scores[name].corpus for name in NAMES]), np.array([scores[name].per_item for name in NAMES])


@pytest.mark.parametrize("name", ["likely", "wild", "single", "hard"])
def test_scores_equal_the_frozen_ones_of_pycocoevalcap(name: str) -> None:
    frozen = np.load(GOLDEN / "caption_scores.npz")
    corpus, items = ours(*golden_module().caption_sets(seed=2015)[name])
    np.testing.assert_allclose(corpus, frozen[f"{name}_corpus"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(items, frozen[f"{name}_items"], rtol=0, atol=1e-9)


@pytest.mark.skipif(importlib.util.find_spec("pycocoevalcap") is None, reason="needs pycocoevalcap")
@pytest.mark.parametrize("name", ["likely", "wild"])
def test_scores_equal_live_pycocoevalcap(name: str) -> None:
    goldens = golden_module()
    candidates, references = goldens.caption_sets(seed=7)[name]
    for expected, found in zip(
        goldens.program_scores(candidates, references), ours(candidates, references), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def plain_cider(candidates: list[str], references: list[list[str]]) -> list[float]:
    """CIDEr from its equations: mean over n of the mean cosine of tf-idf vectors, times ten."""

    def ngrams(caption: str, n: int) -> Counter[tuple[str, ...]]:
        words = caption.split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    def vector(caption: str, n: int) -> dict[tuple[str, ...], float]:
        seen = {g: sum(any(g in ngrams(r, n) for r in item) for item in references) for g in ngrams(caption, n)}
        return {g: tf * math.log(len(references) / max(1, seen[g])) for g, tf in ngrams(caption, n).items()}

    def cosine(a: dict[tuple[str, ...], float], b: dict[tuple[str, ...], float]) -> float:
        norms = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
        return sum(v * b.get(g, 0) for g, v in a.items()) / norms if norms else 0.0

    return [
        10 * sum(cosine(vector(c, n), vector(r, n)) for r in item for n in (1, 2, 3, 4)) / 4 / len(item)
        for c, item in zip(candidates, references, strict=True)
    ]


def test_cider_equals_its_equations() -> None:
    candidates, references = golden_module().caption_sets(seed=3)["wild"]
    few = slice(0, 25)
    found = cider(candidates[few], references[few])["cider"]
    expected = plain_cider(candidates[few], references[few])
    np.testing.assert_allclose(found.per_item, expected, atol=1e-12)
    assert found.corpus == pytest.approx(np.mean(expected))


CAPTION = st.lists(st.sampled_from("abcde"), max_size=6).map(" ".join)
CORPUS = st.lists(st.tuples(CAPTION, st.lists(CAPTION, min_size=1, max_size=4)), min_size=1, max_size=6)
LIMITS = {"cider": 10, "cider_d": 10}


@settings(deadline=None)
@given(CORPUS, st.randoms(use_true_random=False))
def test_order_of_items_and_references_does_not_matter(
    corpus: list[tuple[str, list[str]]], source: random.Random
) -> None:
    order = source.sample(range(len(corpus)), len(corpus))
    shuffled = [(corpus[i][0], source.sample(corpus[i][1], len(corpus[i][1]))) for i in order]
    for metric in (bleu, rouge_l, cider, cider_d):
        before = metric(*map(list, zip(*corpus, strict=True)))
        after = metric(*map(list, zip(*shuffled, strict=True)))
        for name, score in before.items():
            assert after[name].corpus == pytest.approx(score.corpus, abs=1e-12)
            assert after[name].per_item == pytest.approx([score.per_item[i] for i in order], abs=1e-12)


@settings(deadline=None)
@given(CORPUS)
def test_scores_are_finite_and_in_range_for_empty_and_one_word_captions(corpus: list[tuple[str, list[str]]]) -> None:
    candidates, references = map(list, zip(*corpus, strict=True))
    for metric in (bleu, rouge_l, cider, cider_d):
        for name, score in metric(candidates, references).items():
            for value in (score.corpus, *score.per_item):
                assert 0 <= value <= LIMITS.get(name, 1) + 1e-6


def test_a_scorer_with_fixed_references_scores_any_candidates_in_any_order() -> None:
    candidates, references = golden_module().caption_sets(seed=5)["likely"]
    expected = cider_d(candidates, references)["cider_d"].per_item
    scorer = CIDErScorer(references)
    items = [7, 3, 3, 900, 0]
    strange = "quite unknown words"
    found = scorer.score([candidates[7], strange, candidates[3], candidates[900], candidates[0]], items)
    assert found == pytest.approx([expected[7], 0, expected[3], expected[900], expected[0]], abs=1e-12)
    assert scorer.score([], []) == []


@pytest.mark.skipif(why_no_meteor() is not None, reason=str(why_no_meteor()))
@pytest.mark.slow
def test_meteor_comes_from_its_own_program() -> None:
    score = meteor(["a b c", "", "a dog"], [["a b c"], ["a b"], ["a cat"]])["meteor"]
    assert score.per_item[0] == pytest.approx(1.0)
    assert score.per_item[1] == 0.0
    assert 0 < score.per_item[2] < 1


def test_without_java_meteor_is_left_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = score_captions(["a dog"], [["a dog"]], metrics=("rouge_l", "meteor"))
    assert list(result.scores) == ["rouge_l"]
    assert "METEOR needs" in result.left_out["meteor"]
    with pytest.raises(MissingExtraError, match="METEOR needs"):
        meteor(["a dog"], [["a dog"]])


@pytest.mark.parametrize("name", ["bleu", "rouge_l", "cider", "cider_d", "meteor"])
@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        (["a"], [["a"], ["b"]], "1 captions but references for 2 items"),
        ([], [], "no captions to score"),
        (["a", "b"], [["a"], []], "item 1 needs a list of one reference or more"),
        (["a"], ["abc"], "item 0 needs a list"),
    ],
)
def test_lists_that_do_not_match_are_refused(name: str, candidates: list, references: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        captioning.METRICS[name](candidates, references)


def test_an_unknown_metric_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cider_d'"):
        score_captions(["a"], [["a"]], metrics=("ciderd",))
