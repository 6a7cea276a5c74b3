from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrcn.errors import DataError
from lrcn.text import Vocabulary

CAPTIONS = [line.split() for line in ("a man rides a horse", "a man walks", "a dog", "the dog barks", "<eos> a")]


def test_words_are_ordered_by_count_then_alphabet() -> None:
    assert Vocabulary.build(CAPTIONS, min_count=1).words == (
        "a",
        "dog",
        "man",
        "barks",
        "horse",
        "rides",
        "the",
        "walks",
    )
    assert Vocabulary.build(CAPTIONS, min_count=2).words == ("a", "dog", "man")


def test_the_order_of_captions_does_not_matter() -> None:
    shuffled = random.Random(1).sample(CAPTIONS, len(CAPTIONS))
    assert Vocabulary.build(shuffled, min_count=1) == Vocabulary.build(CAPTIONS, min_count=1)


def test_unknown_words_are_encoded_and_never_decoded() -> None:
    vocabulary = Vocabulary(["a", "dog"])
    ids = vocabulary.encode(["a", "green", "dog"])
    assert ids == [Vocabulary.BOS, 4, Vocabulary.UNK, 5, Vocabulary.EOS]
    assert vocabulary.decode(ids) == ["a", "dog"]


def test_decoding_stops_at_the_end() -> None:
    vocabulary = Vocabulary(["a", "dog"])
    assert vocabulary.decode([4, Vocabulary.PAD, Vocabulary.EOS, 5, 99]) == ["a"]


def test_a_caption_cannot_smuggle_in_a_reserved_id() -> None:
    vocabulary = Vocabulary.build(CAPTIONS, min_count=1)
    assert vocabulary.encode(["<eos>", "<pad>"]) == [Vocabulary.BOS, Vocabulary.UNK, Vocabulary.UNK, Vocabulary.EOS]
    assert "<eos>" not in vocabulary


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), unique=True).map(lambda words: [w for w in words if w not in Vocabulary.SPECIALS]))
def test_equal_words_make_equal_vocabularies_and_survive_the_round_trip(words: list[str]) -> None:
    vocabulary = Vocabulary(words)
    again = Vocabulary(list(words))
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert len(again) == len(words) + 4
    assert again.decode(again.encode(words)) == words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "a"], "'a' is there 2 times"),
        (["a", "<unk>"], "'<unk>' cannot be a word"),
        ([""], "'' cannot be a word"),
    ],
)
def test_words_that_would_clash_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Vocabulary(words)


def test_an_empty_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match="none of 8 words occurs 9 times"):
        Vocabulary.build(CAPTIONS, min_count=9)


def test_an_id_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match="id 6 is not one of 0 to 5"):
        Vocabulary(["a", "dog"]).decode([6])
