"""The words a captioning model knows, and their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from lrcn.config import RESERVED_TOKENS
from lrcn.errors import DataError


class Vocabulary:
    """An ordered list of words behind four reserved ids; two vocabularies with the same words are equal.

    Ids 0 to 3 are padding, beginning, end and unknown word; the words follow in their order.

    Args:
        words: Distinct words, without the reserved ones.

    Raises:
        DataError: If a word is reserved, empty or there twice.
    """

    SPECIALS: Final = RESERVED_TOKENS
    PAD: Final = 0
    BOS: Final = 1
    EOS: Final = 2
    UNK: Final = 3

    def __init__(self, words: Iterable[str]):
        self.words: Final = tuple(words)
        self._ids: Final = {word: number for number, word in enumerate(self.words, start=len(self.SPECIALS))}
        if len(self._ids) != len(self.words):
            word, count = Counter(self.words).most_common(1)[0]
            raise DataError(f"vocabulary: {word!r} is there {count} times; every word must be there once")
        for word in ("", *self.SPECIALS):
            if word in self._ids:
                raise DataError(f"vocabulary: {word!r} cannot be a word; leave it out")

    @classmethod
    def build(cls, captions: Iterable[Iterable[str]], *, min_count: int = 5) -> Vocabulary:
        """Collect the words that occur at least `min_count` times, the most frequent first, equals alphabetically.

        Args:
            captions: Tokens of each training caption. A token spelt like a reserved id is left out.
            min_count: Fewest occurrences over all captions (released LRCN captioning nets: 5).

        Raises:
            DataError: If no word is that frequent.
        """
        counts = Counter(token for caption in captions for token in caption)
        for reserved in cls.SPECIALS:
            del counts[reserved]
        kept = sorted((-count, word) for word, count in counts.items() if count >= min_count)
        if not kept:
            raise DataError(
                f"vocabulary: none of {len(counts)} words occurs {min_count} times; use a smaller min_count"
            )
        return cls(word for _, word in kept)

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return BOS, the id of every token, EOS; a token that is no word of the vocabulary becomes UNK."""
        return [self.BOS, *(self._ids.get(token, self.UNK) for token in tokens), self.EOS]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of `ids` up to the first EOS; reserved ids are passed over, UNK among them.

        Raises:
            DataError: If an id is outside the vocabulary.
        """
        words = []
        for number in ids:
            if number == self.EOS:
                break
            if not 0 <= number < len(self):
                raise DataError(f"vocabulary: id {number} is not one of 0 to {len(self) - 1}; is it another model's?")
            if number >= len(self.SPECIALS):
                words.append(self.words[number - len(self.SPECIALS)])
        return words

    def __len__(self) -> int:
        return len(self.SPECIALS) + len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.words)} words)"
