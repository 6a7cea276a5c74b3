"""Search pictures by a sentence, and sentences by a picture, with a captioning model.

A picture and a sentence fit as well as the model finds the sentence probable about the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrcn.errors import ConfigError, DataError, MediaError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.reading import Excerpt
from lrcn.inference.sources import OnFailure
from lrcn.metrics.retrieval import normalise_over_images
from lrcn.models.caption_scoring import score_sentences
from lrcn.results import RetrievalMatch, RetrievalResult
from lrcn.text import tokenise
from lrcn.video.inputs import Source, name_of_source

Scoring = Literal["release", "plain"]
"""`release`: log probability of the words, the end not scored and each word at least 1e-12, less the log of the
sentence's mean probability over all pictures. `plain`: log probability of the whole sentence, its end included."""


class Retriever:
    """Ranks pictures for a sentence, and sentences for a picture.

    The cost of N pictures and M sentences: the CNN once a picture, and for every pair an LSTM step and the word logits
    for each beginning of a sentence that no other sentence shares. Memory beyond the N x M scores is bounded.

    Examples:
        >>> from PIL import Image
        >>> retriever = Retriever(Captioner.load("emoji", device="cpu"))
        >>> picture = Image.new("RGB", (256, 256), (90, 160, 60))
        >>> found = retriever.rank_captions(picture, ["rainbows two of picture a", "a picture of two rainbows"])
        >>> found.matches[0].item
        'a picture of two rainbows'
    """

    def __init__(self, captioner: Captioner) -> None:
        """Take a captioner, whose model scores.

        Raises:
            ConfigError: If it runs an exported folder, which holds no weights to score with.
        """
        if captioner.model is None:
            raise ConfigError(f"{captioner.name}: retrieval needs the model file, not an exported folder")
        self.captioner = captioner
        self._model = captioner.model

    def rank_images(
        self,
        text: str,
        images: Sequence[Source],
        *,
        top_k: int | None = 10,
        scoring: Scoring | None = None,
        on_failure: OnFailure | None = None,
    ) -> RetrievalResult:
        """Return the pictures or videos that a sentence fits best; as `rank_images_for`, for one sentence."""
        return self.rank_images_for([text], images, top_k=top_k, scoring=scoring, on_failure=on_failure)[0]

    def rank_images_for(
        self,
        texts: Sequence[str],
        images: Sequence[Source],
        *,
        top_k: int | None = 10,
        scoring: Scoring | None = None,
        on_failure: OnFailure | None = None,
    ) -> list[RetrievalResult]:
        """Return the pictures or videos that each sentence fits best; the pictures are looked at once.

        Args:
            texts: The sentences; words that the model does not know count as its unknown word.
            images: What is searched.
            top_k: Most matches returned; None for all.
            scoring: None takes `release`, and `plain` for one picture. Both give the same order, but for the end of the
                sentence and the floor; see `Scoring`.
            on_failure: Told what cannot be read, which is then left out; None raises.

        Raises:
            DataError: If a sentence holds no word, or no picture is left.
            MediaError: If a picture cannot be read, unless `on_failure` is given.
        """
        encoded = [self.encode_texts([text]) for text in texts]
        readable, contexts = self._contexts(images, on_failure)
        chosen: Scoring = scoring or ("release" if len(readable) > 1 else "plain")
        scores = self._scores(contexts, [sentences[0] for sentences, _ in encoded], chosen)
        names = [(name_of_source(images[index]), index) for index in readable]
        return [
            self._result(text, names, scores[:, number], top_k, chosen, encoded[number][1])
            for number, text in enumerate(texts)
        ]

    def rank_captions(
        self,
        image: Source,
        texts: Sequence[str],
        *,
        background: Sequence[Source] = (),
        top_k: int | None = 10,
        scoring: Scoring | None = None,
        on_failure: OnFailure | None = None,
    ) -> RetrievalResult:
        """Return the sentences that fit a picture or video best.

        Args:
            image: The picture.
            texts: What is searched.
            background: Other pictures: a sentence is then worth as much more as it is more probable about this picture
                than about those. Without any, sentences that are probable about everything rank high.
            top_k: Most matches returned; None for all.
            scoring: None takes `release` with a background and `plain` without.
            on_failure: Told what of the background cannot be read, which is then left out; None raises.

        Raises:
            DataError: If a sentence holds no word, or there is none.
            ConfigError: If `release` is asked for without a background.
            MediaError: If a picture cannot be read, unless it is of the background and `on_failure` is given.
        """
        chosen: Scoring = scoring or ("release" if background else "plain")
        if chosen == "release" and not background:
            raise ConfigError("scoring 'release' compares with other pictures: give a background, or scoring 'plain'")
        sentences, warnings = self.encode_texts(texts)
        _, contexts = self._contexts([image], None)
        if background:
            contexts = torch.cat([contexts, self._contexts(background, on_failure)[1]])
        scores = self._scores(contexts, sentences, chosen)[0]
        names = [(text, index) for index, text in enumerate(texts)]
        return self._result(name_of_source(image), names, scores, top_k, chosen, warnings)

    def score(
        self, contexts: Tensor, sentences: Sequence[Sequence[int]], *, scoring: Scoring = "release"
    ) -> NDArray[np.float32]:
        """Return how well N contexts and M sentences fit, `(N, M)`, not yet normalised over the pictures.

        Args:
            contexts: `(N, E)`, of `Captioner.contexts`.
            sentences: Token ids, of `encode_texts`.
            scoring: Whether the end counts and words have a floor; see `Scoring`.
        """
        release = scoring == "release"
        scores = score_sentences(self._model, contexts, sentences, score_end=not release, floor=release).numpy()
        return np.asarray(scores, dtype=np.float32)

    def encode_texts(self, texts: Sequence[str]) -> tuple[list[list[int]], tuple[str, ...]]:
        """Return the token ids of sentences, and warnings about words that the model does not know.

        Raises:
            DataError: If a sentence holds no word, or there is none.
        """
        if not texts:
            raise DataError("no sentence to search for or among")
        vocabulary = self.captioner.vocabulary
        sentences, unknown = [], set()
        for text in texts:
            tokens = tokenise(text)
            if not tokens:
                raise DataError(f"the sentence {text!r} holds no word")
            unknown |= {token for token in tokens if token not in vocabulary}
            sentences.append(vocabulary.encode(tokens))
        if not unknown:
            return sentences, ()
        named = ", ".join(sorted(unknown)[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        return sentences, (f"words that the model does not know: {named}",)

    def _contexts(self, images: Sequence[Source], on_failure: OnFailure | None) -> tuple[list[int], Tensor]:
        """Return which sources can be read, and their contexts."""
        readable, features = [], []
        failures: list[str] = []

        def note(source: Source, exc: MediaError) -> None:
            if on_failure is None:
                raise exc
            failures.append(str(exc))
            on_failure(source, exc)

        for index, image_features in self.captioner.read_features(map(Excerpt, images), on_failure=note):
            readable.append(index)
            features.append(image_features)
        if not readable:
            raise DataError(f"no picture to search: {failures[0] if failures else 'none was given'}")
        return readable, self.captioner.contexts(features)

    def _scores(self, contexts: Tensor, sentences: Sequence[Sequence[int]], scoring: Scoring) -> NDArray[np.floating]:
        scores = self.score(contexts, sentences, scoring=scoring)
        return normalise_over_images(scores) if scoring == "release" else scores

    def _result(
        self,
        query: str,
        names: Sequence[tuple[str, int]],
        scores: NDArray[np.floating],
        top_k: int | None,
        scoring: str,
        warnings: tuple[str, ...],
    ) -> RetrievalResult:
        if top_k is not None and top_k < 1:
            raise ConfigError(f"top_k must be at least 1, got {top_k}")
        order = np.argsort(-scores, kind="stable")[:top_k]
        matches = tuple(RetrievalMatch(names[i][0], names[i][1], float(scores[i])) for i in order)
        return RetrievalResult(query, matches, len(names), scoring, warnings, self.captioner.about)
