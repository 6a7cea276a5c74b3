"""Tokens back to a sentence that has the same tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.text import detokenise, tokenise

WORDS = ("a", "dog", "'s", "does", "n't", "bone", "they", "'re", "red", "-lrb-", "-rrb-", "two-tone", "3", "we", "'ll")


@pytest.mark.parametrize(
    "sentence", ["the dog's bone", "they don't run", "a man (in red) waves", "", "we'll see two-tone cars"]
)
def test_a_sentence_comes_back(sentence: str) -> None:
    assert detokenise(tokenise(sentence)) == sentence.replace("(", "( ").replace(")", " )")


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_the_tokens_settle(words: list[str]) -> None:
    """Not every list of tokens can come from a sentence; what a sentence gives comes back."""
    tokens = tokenise(detokenise(words))
    assert tokenise(detokenise(tokens)) == tokens
