"""Turns the captioning nets of the LRCN release into model files of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrcn.caffe.captions import CaptionWeights
from lrcn.config import RESERVED_TOKENS, CaptioningConfig, CaptioningHeader, PreprocessConfig
from lrcn.errors import DataError
from lrcn.text import Vocabulary

MEAN = (104.0, 117.0, 123.0)
"""BGR, from lrcn.prototxt and captioner.py of the release."""

_WARPED_PX = 256
"""Images are warped to this square before the crop of 227 or 224 (`new_height`, `new_width` in lrcn.prototxt)."""

_NEVER = -1e4
"""Logit of a token that the released net does not have: its probability is 0 exactly, also in half precision."""


def read_words(path: str | Path, *, num_words: int) -> tuple[str, ...]:
    """Return the words of a text file, one a line, in the order of the net's outputs but for the first, the end.

    Raises:
        DataError: If it cannot be read, or does not hold `num_words - 1` different words.
    """
    path = Path(path)
    try:
        words = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}: not a text file of words") from exc
    words = [word.strip() for word in words if word.strip()]
    if len(words) != num_words - 1:
        raise DataError(
            f"{path}: {len(words)} words, the net has {num_words} outputs; expected {num_words - 1}, one for each "
            "output after the first, which ends a sentence (vocabulary.txt of the release)"
        )
    seen: set[str] = set()
    for word in words:
        if word in seen:
            raise DataError(f"{path}: the word {word!r} stands there twice")
        if word in RESERVED_TOKENS and word != RESERVED_TOKENS[Vocabulary.UNK]:
            raise DataError(
                f"{path}: the word {word!r} is a token of this package; write it otherwise, as {word[1:-1]!r}"
            )
        seen.add(word)
    return tuple(words)


def caption_header(
    weights: CaptionWeights,
    words: tuple[str, ...],
    *,
    mean: tuple[float, float, float] | None,
    provenance: dict[str, Any],
) -> CaptioningHeader:
    """Describe a captioning net for its model file.

    Args:
        weights: Of the net.
        words: As `read_words` gives them; `<unk>` among them becomes the reserved unknown word.
        mean: What the net's own data layer subtracts, BGR, where it says so.
        provenance: Where it comes from.
    """
    vocabulary = tuple(word for word in words if word != RESERVED_TOKENS[Vocabulary.UNK])
    config = CaptioningConfig(
        backbone=weights.backbone,
        vector_size=None if weights.backbone else weights.context_size,
        variant=weights.variant,
        vocabulary_size=len(vocabulary) + len(RESERVED_TOKENS),
        embedding_size=weights.embedding_size,
        hidden_size=weights.hidden_size,
    )
    preprocess = None
    if weights.input_px is not None:
        # the release warps to 256 px and crops 227 or 224; another size shows the same part of the picture
        side = max(weights.input_px, round(_WARPED_PX * weights.input_px / (224 if weights.input_px == 224 else 227)))
        preprocess = PreprocessConfig(
            resize=(side, side), crop=weights.input_px, channel_order="bgr", mean=mean or MEAN, std=(1.0, 1.0, 1.0)
        )
    return CaptioningHeader(model=config, preprocess=preprocess, vocabulary=vocabulary, provenance=provenance)


def caption_tensors(weights: CaptionWeights, words: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the net's tensors with its words where our vocabulary has them.

    Word 0 of the release both begins and ends a sentence; here two tokens do, which begin with its vector. Neither
    padding nor the beginning is ever said, nor an unknown word where the net has none.
    """
    unknown = RESERVED_TOKENS[Vocabulary.UNK]
    sources = [number for number, word in enumerate(words, start=1) if word != unknown]
    rows = torch.tensor([0, 0, 0, words.index(unknown) + 1 if unknown in words else 0, *sources])
    never = [Vocabulary.PAD, Vocabulary.BOS, *([] if unknown in words else [Vocabulary.UNK])]
    tensors = dict(weights.tensors)
    tensors["embedding.weight"] = weights.tensors["embedding.weight"][rows]
    tensors["embedding.weight"][Vocabulary.PAD] = 0.0
    tensors["classifier.weight"] = weights.tensors["classifier.weight"][rows]
    tensors["classifier.weight"][never] = 0.0
    tensors["classifier.bias"] = weights.tensors["classifier.bias"][rows]
    tensors["classifier.bias"][never] = _NEVER
    return tensors
