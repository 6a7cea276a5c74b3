"""What the sentences of composed scenes say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.errors import DataError
from lrcn.text.tokenise import tokenise
from lrcn_sets.scenes.captions import (
    TEMPLATES,
    SceneFacts,
    plural,
    scene_captions,
    scene_facts,
    score_scene_captions,
    with_article,
)
from lrcn_sets.scenes.emoji_names import EMOJI

NOUNS = sorted(EMOJI)


def test_english_of_nouns() -> None:
    assert [with_article(noun) for noun in ("owl", "unicorn", "cat", "european bear", "egg")] == [
        "an owl",
        "a unicorn",
        "a cat",
        "a european bear",
        "an egg",
    ]
    assert [plural(noun) for noun in ("cat", "fox", "church", "cherry", "monkey", "wine glass", "wolf", "sheep")] == [
        "cats",
        "foxes",
        "churches",
        "cherries",
        "monkeys",
        "wine glasses",
        "wolves",
        "sheep",
    ]


@given(
    kind=st.sampled_from(sorted(TEMPLATES)),
    pair=st.permutations(NOUNS).map(lambda n: tuple(n[:2])),
    which=st.integers(0, 4),
)
def test_every_sentence_says_what_the_scene_shows(kind: str, pair: tuple[str, str], which: int) -> None:
    facts = SceneFacts(kind, pair if kind in ("left", "above") else pair[:1])
    sentence = scene_captions(facts)[which]
    assert scene_facts(sentence, NOUNS) == facts
    assert scene_facts(" ".join(tokenise(sentence)), NOUNS) == facts


def test_other_sentences_say_nothing() -> None:
    for sentence in ("", "a dog", "a small", "a small dragonfly", "two dog", "a dog to the left of"):
        assert scene_facts(sentence, NOUNS) is None


def test_accuracy_tells_nouns_from_places() -> None:
    right = scene_captions(SceneFacts("left", ("dog", "cat")))
    said = [
        "a cat to the right of a dog",  # another wording
        "a cat to the left of a dog",  # swapped
        "a dog above a cat",
        "a dog to the left of a bus",
        "dog cat",
    ]
    accuracy = score_scene_captions(said, [right] * 5, NOUNS)
    assert (accuracy.exact, accuracy.nouns, accuracy.kind, accuracy.understood) == (0.2, 0.6, 0.6, 0.8)
    with pytest.raises(DataError, match="no sentence of the templates"):
        score_scene_captions(["a dog above a cat"], [["hello there"]], NOUNS)
