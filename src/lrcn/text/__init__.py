"""Text of captions: the COCO tools' tokens, and the words a model knows."""

from lrcn.text.tokenise import detokenise, tokenise
from lrcn.text.vocabulary import Vocabulary

__all__ = ["Vocabulary", "detokenise", "tokenise"]
