"""Does another runtime say about pictures what torch says? As `inference/parity.py`, with words in place of classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lrcn.decoding import greedy_search
from lrcn.encoding import FrameEncoder
from lrcn.graphs.exported import CLIP_TOKENS
from lrcn.inference.captioning.graph_runtime import GraphCaptionDecoder
from lrcn.inference.captioning.search import caption_rules
from lrcn.inference.parity import BATCH_SIZES, LIMITS, FeatureCheck, FeatureParity, Limits, largest, precision_of
from lrcn.models.caption_decoder import CaptionDecoder
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary

CAPTION_LIMITS = {"fp32": LIMITS["fp32"], "bf16": Limits(0.06, 0.15)}
"""By precision. One word in one place of one sentence may change more than the mean over a clip's frames that `LIMITS`
are for: a model of composed pictures changed by 0.07 in bf16, and its CIDEr-D by 0.2 %. int8 has none: its ranges are
those of the user's pictures, which the packaged clip may be nothing like; the captions of a split decide."""

_VIDEO_FRAMES = 7
"""Frames of a video whose context is compared beside those of pictures."""


@dataclass(frozen=True)
class CaptionParity(FeatureParity):
    """Largest errors of features and of the words that are said of them."""

    prob_error: float
    """Of the probability of any word after each beginning of torch's captions of the real frames."""
    step_error: float
    """The same from the same features, where another runtime also runs what reads them; with the state after each of
    some steps. 0 where torch runs it."""
    captions_equal: float
    """Share of the real frames about which greedy search says the same, 0-1: told, not judged."""

    @property
    def passed(self) -> bool:
        """Whether all is within the limits."""
        limits = CAPTION_LIMITS.get(self.precision)
        words_ok = limits is None or (super().passed and self.prob_error <= limits.prob)
        return words_ok and self.step_error <= LIMITS["fp32"].prob

    def __str__(self) -> str:
        limits = CAPTION_LIMITS.get(self.precision)
        of_prob, of_feature = (
            ("", "") if limits is None else (f" (limit {limits.prob:g})", f"limit {limits.feature:g}; ")
        )
        return (
            f"largest error against torch: probabilities of words {self.prob_error:.1e}{of_prob}, "
            f"features {self.feature_error:.1e} ({of_feature}on random frames {self.random_feature_error:.1e}), "
            f"steps {self.step_error:.1e}; same caption for {self.captions_equal:.1%} of frames"
        )


class CaptionParityCheck:
    """What torch says about frames of the packaged clip and about noise, for other runtimes to be compared with."""

    report = CaptionParity

    def __init__(self, model: CaptioningModel, features: FeatureCheck | None) -> None:
        """Take the network, on its device, and the check of its backbone: None for models that read ready vectors."""
        self._model = model
        self._device = next(model.parameters()).device
        self._features = features

    @cached_property
    def _real(self) -> Tensor:
        """Features `(N, D)` as torch has them; drawn at random for models of ready vectors."""
        if self._features is None:
            return torch.randn(max(BATCH_SIZES), self._model.feature_size, generator=torch.Generator().manual_seed(0))
        return torch.from_numpy(self._features.expected["real"])

    @cached_property
    def _expected(self) -> _Said:
        contexts = self._contexts(self._real)
        captions = self._captions(contexts)
        tokens = torch.full((len(captions), CLIP_TOKENS), Vocabulary.EOS)
        for row, words in zip(tokens, captions, strict=True):
            beginning = [Vocabulary.BOS, *words][:CLIP_TOKENS]
            row[: len(beginning)] = torch.tensor(beginning)
        return _Said(captions, tokens, self._torch_probs(contexts, tokens))

    @torch.inference_mode()
    def measure(self, encoder: FrameEncoder | None, decoder: GraphCaptionDecoder | None = None) -> CaptionParity:
        """Run a runtime on the same, at each of `BATCH_SIZES`, and return the largest errors.

        Args:
            encoder: What runs the backbone; None for models that read ready vectors.
            decoder: What runs the rest; None where torch does.
        """
        errors: dict[str, list[float]] = {"real": [0.0], "random": [0.0], "prob": [], "step": [0.0]}
        captions_equal = 1.0
        for size in BATCH_SIZES:
            features = self._real
            if encoder is not None and self._features is not None:
                found, of_features = self._features.measure(encoder, size)
                features = torch.from_numpy(found["real"])
                for kind, error in of_features.items():
                    errors[kind].append(error)
            contexts = self._contexts(features, decoder)
            errors["prob"].append(_difference(self._word_probs(contexts, decoder, size), self._expected.word_probs))
            same = [a == b for a, b in zip(self._captions(contexts), self._expected.captions, strict=True)]
            captions_equal = min(captions_equal, sum(same) / len(same))
            if decoder is not None:
                errors["step"] += self._decoder_errors(decoder, size)
        return CaptionParity(
            precision="fp32" if encoder is None else precision_of(encoder),
            feature_error=largest(errors["real"]),
            random_feature_error=largest(errors["random"]),
            prob_error=largest(errors["prob"]),
            step_error=largest(errors["step"]),
            captions_equal=captions_equal,
        )

    def _contexts(self, features: Tensor, decoder: CaptionDecoder | None = None) -> Tensor:
        """Contexts of each frame as a picture, and of a video of the first ones: `(N + 1, E)`."""
        rows = [*features[:, None], features[:_VIDEO_FRAMES]]
        if decoder is not None:
            return decoder.contexts(rows)
        return torch.cat([self._model.context(row[None].to(self._device)) for row in rows]).cpu()

    def _captions(self, contexts: Tensor) -> list[tuple[int, ...]]:
        found = greedy_search(
            self._model.step,
            self._model.initial_state(contexts.to(self._device)),
            batch_size=len(contexts),
            rules=caption_rules(max_length=CLIP_TOKENS),
            device=self._device,
        )
        return [one.token_ids for (one,) in found]

    def _torch_probs(self, contexts: Tensor, tokens: Tensor) -> Tensor:
        logits: Tensor = self._model(contexts.to(self._device), tokens.to(self._device))
        return logits.softmax(-1).cpu()

    def _word_probs(self, contexts: Tensor, decoder: GraphCaptionDecoder | None, size: int) -> Tensor:
        """Probabilities `(N + 1, CLIP_TOKENS, V)` of the words after each beginning of torch's captions."""
        parts = []
        for first in range(0, len(contexts), size):
            some, tokens = contexts[first : first + size], self._expected.tokens[first : first + size]
            if decoder is None:
                parts.append(self._torch_probs(some, tokens))
            else:
                parts.append(decoder.logits(some, tokens).softmax(-1))
        return torch.cat(parts)

    def _decoder_errors(self, decoder: GraphCaptionDecoder, size: int) -> list[float]:
        """Errors of contexts, of sentences, and of steps that start from the contexts that torch gives."""
        expected_contexts = self._contexts(self._real)
        scale = max(1.0, float(expected_contexts.abs().max()))
        errors = [_difference(self._contexts(self._real, decoder), expected_contexts) / scale]
        probs = self._word_probs(expected_contexts, decoder, size)
        errors.append(_difference(probs, self._expected.word_probs))
        contexts = expected_contexts[torch.arange(size) % len(expected_contexts)]
        tokens = self._expected.tokens[torch.arange(size) % len(expected_contexts)]
        model = self._model
        state, expected_state = decoder.initial_state(contexts), model.initial_state(contexts.to(self._device))
        for t in range(8):
            found, state = decoder.step(tokens[:, t], state)
            expected, expected_state = model.step(tokens[:, t].to(self._device), expected_state)
            errors.append(_difference(found.exp(), expected.exp().cpu()))
            for name, part in expected_state.lstm._asdict().items():
                scale = max(1.0, float(part.abs().max()))
                errors.append(_difference(state.parts[name], part.cpu()) / scale)
        return errors


@dataclass(frozen=True)
class _Said:
    captions: list[tuple[int, ...]]
    tokens: Tensor
    """The captions from their beginning on, `(N, CLIP_TOKENS)`."""
    word_probs: Tensor
    """`(N, CLIP_TOKENS, V)`"""


def _difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max())
