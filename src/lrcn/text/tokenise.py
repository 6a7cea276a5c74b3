"""Cut a caption into the tokens that the COCO caption metrics are defined on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from lrcn.text.ptb import ASSIMILATIONS, CLOSING_ABBREVIATION, OPENING_ABBREVIATION, rules_for

PUNCTUATION: Final = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
"""Tokens the COCO tools remove.

Their list has `-LRB-` and the other bracket names too, but it is compared with lower-cased tokens: `-lrb-` stays.
"""

_PLAIN_CAPTION: Final = re.compile(r"(?:[A-Za-z]+(?:-[A-Za-z]+)*,? )*[A-Za-z]+(?:-[A-Za-z]+)*(?P<end> ?[.!?]?)")
_PLAIN_WORD: Final = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*(?=,?[ \n])")
_ASSIMILATED: Final = frozenset(first + second for first, second in ASSIMILATIONS.items())
_KEEPS_FULL_STOP: Final = re.compile(rf"[a-z]\.|{CLOSING_ABBREVIATION}|{OPENING_ABBREVIATION}", re.IGNORECASE)

UNSPACED: Final = re.compile(
    r"[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*"  # Thai, and marks
    r"|[\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6][\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece]*"  # Lao
    r"|[\u1000-\u102a\u103f\u1050-\u1055][\u102b-\u103e\u1056-\u1059]*"  # Burmese
    r"|[\u1780-\u17b3](?:\u17d2[\u1780-\u17b3]|[\u17b4-\u17d1\u17d3\u17dd])*"  # Khmer
    r"|[\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f][\u3099\u309a]*"
)
"""A letter of a script without spaces between words, with the marks that belong to it."""

_WIDE_PUNCTUATION: Final = re.compile(r"[\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f\u0e2f\u104a\u104b\u17d4-\u17d6]")
"""Full stops, commas and the like of those scripts."""

_CLITICS: Final = frozenset(["'s", "'m", "'d", "'re", "'ve", "'ll", "n't"])
_BRACKETS: Final = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}


def tokenise(caption: str) -> list[str]:
    """Return the lower-case tokens of a caption, punctuation left out; `" ".join(...)` is the COCO tools' string.

    The same tokens as the PTBTokenizer program of the COCO tools gives for the caption on its own (there, the first
    word of the next caption can decide whether a full stop after a single letter is kept). Line breaks count as
    spaces. A token can hold a no-break space: `3 1/2` is one.

    Scripts that set no space between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) give a token for each letter
    with its marks, where the COCO tools would make a word of the whole sentence. Letters with accents are composed.

    Args:
        caption: Any text; may be empty.
    """
    caption = unicodedata.normalize("NFC", caption)
    plain = _PLAIN_CAPTION.fullmatch(caption)
    if plain:
        words = caption.lower().replace(",", "").rstrip(" .!?").split(" ")
        ends_open = plain["end"] != "." or not _KEEPS_FULL_STOP.fullmatch(f"{words[-1]}.")
        if ends_open and _ASSIMILATED.isdisjoint(words):
            return words
    if not UNSPACED.search(caption):
        return _scan(caption)
    return _scan(UNSPACED.sub(r" \g<0> ", _WIDE_PUNCTUATION.sub(" ", caption)))


def detokenise(tokens: Iterable[str]) -> str:
    """Return tokens as a sentence: `the dog 's bone` becomes `the dog's bone`, `-lrb-` a bracket again."""
    text, before = "", ""
    for token in tokens:
        written = _BRACKETS.get(token, token)
        unspaced = bool(UNSPACED.match(before) and UNSPACED.match(token))
        text += written if unspaced or token in _CLITICS or not text else f" {written}"
        before = token
    return text


def _scan(caption: str) -> list[str]:
    text = re.sub(r"[\r\n\f\v\x85\u2028\u2029]", " ", caption) + "\n"  # some rules look at the end of the line
    tokens: list[str] = []
    position = 0
    while position < len(text):
        plain = _PLAIN_WORD.match(text, position)
        if plain and plain[0].lower() not in _ASSIMILATED:
            tokens.append(plain[0].lower())
            position = plain.end()
            continue
        best = None
        length = 0
        for rule in rules_for(text[position]):
            match = rule.pattern.match(text, position)
            if match and match.end() - position > length:
                best, length = (rule, match["token"]), match.end() - position
        if best is None:
            position += 1
            continue
        rule, matched = best
        position += len(matched)
        token = rule.write(matched).lower()
        if token and token not in PUNCTUATION:
            tokens.append(token)
    return tokens
