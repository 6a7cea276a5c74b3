"""What every runtime can do with a recognition model. Imports no torch.

Shapes: N frames, B clips or streams, T frames of a clip, D feature size, G values of an embedded frame, A classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.encoding import FrameEncoder
from lrcn.graphs.state import State
from lrcn.video.views import View

Rows = Any
"""Embedded frames as their runtime holds them, cut and indexed like arrays: of NumPy, or tensors on its device."""


class Runtime(FrameEncoder):
    """A recognition network that is ready to run. Arrays go in and come out; state is passed, never kept."""

    has_step: bool
    """Whether `step` can be called: heads that look at a clip as a whole cannot go on frame by frame."""

    @abstractmethod
    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what clips need of each frame, `(N, G)`, from its feature `(N, D)`: once, however many share it."""

    def embedded(self, features: NDArray[np.float32]) -> Rows:
        """Return what `embed` does, where the runtime holds it."""
        return self.embed(features)

    def embed_images(self, images: NDArray[np.uint8], view: View) -> Rows:
        """Return `embedded` of the features of the view's crops of images `(N, H, W, 3)`, resized already."""
        return self.embedded(self.encode(images, view))

    def embed_each(self, images: NDArray[np.uint8], view: View) -> list[Rows]:
        """Return `embed_images` of each image by itself, `(1, G)` each, with one CNN call for all of them."""
        features = self.encode(images, view)
        return [self.embed(features[place : place + 1].copy()) for place in range(len(features))]

    def join(self, parts: Sequence[Rows], axis: int = 0) -> Rows:
        """Return a copy of embedded frames in one array, one part behind the other."""
        return np.concatenate(parts, axis)

    @abstractmethod
    def clip_probs(self, embedded: Rows) -> NDArray[np.float32]:
        """Return the class probabilities `(B, A)` of clips of embedded frames `(B, T, G)`, each by itself."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return what `step` starts from."""

    @abstractmethod
    def step(self, features: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        """Read one more frame of each of B streams; only where there is `has_step`.

        Args:
            features: `(B, D)`.
            state: Of `initial_state` or of the step before; not modified.

        Returns:
            Class probabilities of this frame `(B, A)`, and the state after it.
        """
