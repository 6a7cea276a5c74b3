"""Cut a caption into the tokens that the COCO caption metrics are defined on."""

from __future__ import annotations

import re
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

_CLITICS: Final = frozenset(["'s", "'m", "'d", "'re", "'ve", "'ll", "n't"])
_BRACKETS: Final = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}


def tokenise(caption: str) -> list[str]:
    """Return the lower-case tokens of a caption, punctuation left out; `" ".join(...)` is the COCO tools' string.

    The same tokens as the PTBTokenizer program of the COCO tools gives for the caption on its own (there, the first
    word of the next caption can decide whether a full stop after a single letter is kept). Line breaks count as
    spaces. A token can hold a no-break space: `3 1/2` is one.

    Args:
        caption: Any text; may be empty.
    """
    plain = _PLAIN_CAPTION.fullmatch(caption)
    if plain:
        words = caption.lower().replace(",", "").rstrip(" .!?").split(" ")
        ends_open = plain["end"] != "." or not _KEEPS_FULL_STOP.fullmatch(f"{words[-1]}.")
        if ends_open and _ASSIMILATED.isdisjoint(words):
            return words
    return _scan(caption)


def detokenise(tokens: Iterable[str]) -> str:
    """Return tokens as a sentence: `the dog 's bone` becomes `the dog's bone`, `-lrb-` a bracket again."""
    text = ""
    for token in tokens:
        written = _BRACKETS.get(token, token)
        joined = token in _CLITICS or not text
        text += written if joined else f" {written}"
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
