"""The tokeniser against the program of the COCO tools: frozen answers, and the program itself where it is installed."""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lrcn.text import detokenise, tokenise
from lrcn.text.tokenise import UNSPACED

GOLDEN = Path(__file__).parents[1] / "golden"


def test_tokens_equal_the_frozen_answers_of_the_program() -> None:
    lines = gzip.decompress((GOLDEN / "ptb_tokens.tsv.gz").read_bytes()).decode().removesuffix("\n").split("\n")
    assert len(lines) >= 5000
    answers = [(text, tokens) for text, _, tokens in (line.partition("\t") for line in lines) if _is_theirs(text)]
    assert len(answers) >= 5000
    wrong = {text: (tokenise(text), tokens) for text, tokens in answers if " ".join(tokenise(text)) != tokens}
    assert not wrong


def _is_theirs(text: str) -> bool:
    """Whether the program's tokens are wanted: not of scripts without spaces, nor of accents apart from letters."""
    return unicodedata.is_normalized("NFC", text) and not UNSPACED.search(text)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("一个人在骑自行车。", "一 个 人 在 骑 自 行 车"),
        ("男の人が、バイクに", "男 の 人 が バ イ ク に"),
        ("ผู้ชายขี่", "ผู้ ช า ย ขี่"),
        ("the 猫 sits", "the 猫 sits"),
        ("un cafe\u0301 noir", "un caf\u00e9 noir"),
    ],
)
def test_scripts_without_spaces_give_letters(sentence: str, words: str) -> None:
    tokens = tokenise(sentence)
    assert tokens == words.split()
    if UNSPACED.match(sentence):
        assert tokenise(detokenise(tokens)) == tokens
        assert " " not in detokenise(tokens)


@pytest.mark.skipif(
    importlib.util.find_spec("pycocoevalcap") is None or shutil.which("java") is None,
    reason="needs pycocoevalcap and Java",
)
def test_tokens_equal_the_live_program() -> None:
    spec = importlib.util.spec_from_file_location("make_caption_goldens", GOLDEN / "make_caption_goldens.py")
    assert spec is not None
    assert spec.loader is not None
    goldens = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(goldens)
    texts = [text for text in goldens.sentences(seed=41, number=4000) if _is_theirs(text)]
    assert [tokenise(text) for text in texts] == goldens.program_tokens(texts)


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A man isn't riding a well-known horse.", "a man is n't riding a well-known horse"),
        ("Two dogs' toys, (red and blue); and a cat!", "two dogs toys -lrb- red and blue -rrb- and a cat"),
        ("She can't say \u201cHello\u201d...", "she ca n't say hello"),
        ("St. Mary's church at 10:30 p.m.", "st. mary 's church at 10:30 p.m."),
        ("a $5 bill and a \u20ac20 note", "a $ 5 bill and a $ 20 note"),
        ("half of 1,000 is 50%", "half of 1,000 is 50 %"),
        ("and/or www.example.com/ab?c", "and/or www.example.com/ab?c"),
        ("a dog\nin the   snow", "a dog in the snow"),
        ("", ""),
        (" . , !", ""),
        ("\U0001f600", ""),
    ],
)
def test_tokens_of_typical_captions(caption: str, tokens: str) -> None:
    assert " ".join(tokenise(caption)) == tokens


WORDS = st.text(string.ascii_letters, min_size=1, max_size=6)


@settings(deadline=None)
@given(
    st.lists(st.tuples(WORDS, st.sampled_from([" ", ", ", "-"])), max_size=8),
    WORDS,
    st.sampled_from(["", ".", " .", "?"]),
)
@example([("gimme", " "), ("the", ", ")], "St", ".")
@example([("U", "-")], "cannot", "")
def test_plain_captions_take_a_short_cut_with_the_same_result(
    parts: list[tuple[str, str]], last: str, end: str
) -> None:
    caption = "".join(word + gap for word, gap in parts) + last + end
    assert tokenise(caption) == tokenise(f"{caption}\n")  # the short cut does not know line breaks


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_clean_lower_case_tokens(text: str) -> None:
    tokens = tokenise(text)
    assert all(tokens)
    assert not any(" " in token or "\n" in token for token in tokens)
    assert tokens == [token.lower() for token in tokens]
