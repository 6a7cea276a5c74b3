"""What a composed scene shows, the sentences that say so, and the way back from a sentence to what it says.

Every scene has all the sentences of its kind as references. They are one fact in several wordings, which flatters BLEU;
`score_scene_captions` therefore counts captions that state the facts exactly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lrcn.errors import DataError
from lrcn.text.tokenise import tokenise

TEMPLATES: dict[str, tuple[str, ...]] = {
    "small": (
        "a small {a}",
        "there is a small {a} in the picture",
        "a picture of a small {a}",
        "one small {a} on its own",
        "a small {a} and nothing else",
    ),
    "large": (
        "a large {a}",
        "there is a large {a} in the picture",
        "a picture of a large {a}",
        "one large {a} on its own",
        "a large {a} and nothing else",
    ),
    "two": (
        "two {as}",
        "there are two {as} in the picture",
        "a picture of two {as}",
        "a pair of {as}",
        "two {as} side by side",
    ),
    "left": (
        "{a-} to the left of {b-}",
        "{a-} is on the left of {b-}",
        "there is {a-} on the left and {b-} on the right",
        "a picture of {a-} left of {b-}",
        "{b-} to the right of {a-}",
    ),
    "above": (
        "{a-} above {b-}",
        "{a-} is above {b-}",
        "there is {a-} at the top and {b-} at the bottom",
        "a picture of {a-} over {b-}",
        "{b-} below {a-}",
    ),
}
"""Kind of scene -> its sentences: `{a}` is a noun, `{as}` its plural, `{a-}` the noun with its article."""

_IRREGULAR = {"mouse": "mice", "leaf": "leaves", "loaf": "loaves", "knife": "knives", "wolf": "wolves", "ox": "oxen"}
_UNCHANGED = frozenset({"sheep", "deer", "fish", "squid", "shrimp", "bison", "wapiti"})
_AN_BEFORE = tuple("aeiou")
_A_ALL_THE_SAME = ("uni", "eu", "one")  # a unicorn, a european bear


@dataclass(frozen=True)
class SceneFacts:
    """What a scene shows: one noun for `small`, `large` and `two`; for `left` and `above` the first, then the other."""

    kind: str
    nouns: tuple[str, ...]


@dataclass(frozen=True)
class SceneAccuracy:
    """Shares of captions, each in 0-1."""

    exact: float
    """State kind, nouns and their places as the picture has them."""
    nouns: float
    """Name the right nouns, whatever they say of their places."""
    kind: float
    """State the right kind (`small`, `large`, `two`, `left`, `above`), whatever the nouns."""
    understood: float
    """Are sentences of some template at all."""


def with_article(noun: str) -> str:
    """Return `an owl` for `owl`."""
    an = noun.startswith(_AN_BEFORE) and not noun.startswith(_A_ALL_THE_SAME)
    return f"{'an' if an else 'a'} {noun}"


def plural(noun: str) -> str:
    """Return `two ...` without the `two`; of a noun of several words the last one changes."""
    *before, last = noun.split(" ")
    if last in _UNCHANGED:
        ending = last
    elif last in _IRREGULAR:
        ending = _IRREGULAR[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        ending = f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in _AN_BEFORE:
        ending = f"{last[:-1]}ies"
    else:
        ending = f"{last}{'es' if last in ('potato', 'tomato', 'mango', 'volcano', 'mosquito') else 's'}"
    return " ".join([*before, ending])


def scene_captions(facts: SceneFacts) -> tuple[str, ...]:
    """Return all sentences that say what the scene shows."""
    words: dict[str, str] = {}
    for letter, noun in zip("ab", facts.nouns, strict=False):
        words |= {letter: noun, f"{letter}s": plural(noun), f"{letter}-": with_article(noun)}
    return tuple(template.format_map(words) for template in TEMPLATES[facts.kind])


def scene_facts(caption: str, nouns: Sequence[str]) -> SceneFacts | None:
    """Return what a sentence of the templates says; None if it is none of them, or speaks of other nouns.

    Args:
        caption: Any text, tokenised or not.
        nouns: All nouns that scenes may hold.
    """
    return _Reader(nouns).read(caption)


def score_scene_captions(
    candidates: Sequence[str], references: Sequence[Sequence[str]], nouns: Sequence[str]
) -> SceneAccuracy:
    """Compare what captions say with what their references say.

    Args:
        candidates: One caption for each picture.
        references: The sentences of each picture; the first decides.
        nouns: All nouns that scenes may hold.

    Raises:
        DataError: If the lists do not match, or a reference is no sentence of the templates.
    """
    if len(candidates) != len(references) or not candidates:
        raise DataError(f"scene captions: {len(candidates)} captions and references for {len(references)} pictures")
    reader = _Reader(nouns)
    said = [reader.read(caption) for caption in candidates]
    right = []
    for sentences in references:
        facts = reader.read(sentences[0])
        if facts is None:
            raise DataError(f"scene captions: {sentences[0]!r} is no sentence of the templates")
        right.append(facts)
    pairs = list(zip(said, right, strict=True))
    return SceneAccuracy(
        exact=_share([mine == theirs for mine, theirs in pairs]),
        nouns=_share([mine is not None and sorted(mine.nouns) == sorted(theirs.nouns) for mine, theirs in pairs]),
        kind=_share([mine is not None and mine.kind == theirs.kind for mine, theirs in pairs]),
        understood=_share([mine is not None for mine in said]),
    )


class _Reader:
    """Understands sentences about a list of nouns."""

    def __init__(self, nouns: Sequence[str]) -> None:
        # as the captions of a model are spelt: lower case, cut into tokens
        forms = {
            "": {_tokens(noun): noun for noun in nouns},
            "s": {_tokens(plural(noun)): noun for noun in nouns},
            "-": {_tokens(with_article(noun)): noun for noun in nouns},
        }
        self._forms = forms
        self._patterns = [
            (kind, re.compile(_pattern(template, forms)))
            for kind, templates in TEMPLATES.items()
            for template in templates
        ]

    def read(self, caption: str) -> SceneFacts | None:
        text = _tokens(caption)
        for kind, pattern in self._patterns:
            if match := pattern.fullmatch(text):
                found = match.groupdict()
                nouns = tuple(
                    self._forms[form][found[name]]
                    for letter in "ab"
                    for form, name in (("", letter), ("s", f"{letter}_many"), ("-", f"{letter}_one"))
                    if found.get(name) is not None
                )
                return SceneFacts(kind, nouns)
        return None


def _pattern(template: str, forms: dict[str, dict[str, str]]) -> str:
    names = {"": "", "s": "_many", "-": "_one"}

    def group(match: re.Match[str]) -> str:
        letter, form = match[1], match[2]
        choices = sorted(forms[form], key=len, reverse=True)
        return f"(?P<{letter}{names[form]}>{'|'.join(map(re.escape, choices))})"

    return re.sub(r"\{([ab])([s-]?)\}", group, template)


def _tokens(text: str) -> str:
    return " ".join(tokenise(text))


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)
