"""Which tokens a caption may hold: the one place where searches learn about our vocabulary."""

from __future__ import annotations

from lrcn.decoding import TokenRules
from lrcn.text import Vocabulary


def caption_rules(*, max_length: int = 20, unknown_words: bool = False) -> TokenRules:
    """Return the rules for every search of `lrcn.decoding` over `CaptioningModel.step`.

    Args:
        max_length: Most tokens of a caption, its end counted.
        unknown_words: Let the unknown word be chosen, too.
    """
    banned = (Vocabulary.PAD, Vocabulary.BOS) if unknown_words else (Vocabulary.PAD, Vocabulary.BOS, Vocabulary.UNK)
    return TokenRules(bos_id=Vocabulary.BOS, eos_id=Vocabulary.EOS, banned_ids=banned, max_length=max_length)
