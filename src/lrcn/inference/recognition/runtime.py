"""What every runtime can do with a model. Imports no torch.

Shapes: N frames, B clips or streams, T frames of a clip, D feature size, G values of an embedded frame, A classes.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from lrcn.config import RecognitionConfig
from lrcn.encoding import FrameEncoder
from lrcn.graphs.state import State


class Runtime(FrameEncoder):
    """A recognition network that is ready to run. Arrays go in and come out; state is passed, never kept."""

    config: RecognitionConfig
    """Of the network."""

    @abstractmethod
    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what clips need of each frame, `(N, G)`, from its feature `(N, D)`: once, however many share it."""

    @abstractmethod
    def frame_probs(self, embedded: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities `(B, T, A)` at each frame of clips of embedded frames `(B, T, G)`.

        Each clip is read from zero state; frames further on change nothing at a frame.
        """

    def clip_probs(self, embedded: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the class probabilities `(B, A)` of clips of embedded frames `(B, T, G)`, by the model's readout."""
        probs = self.frame_probs(embedded)
        if self.config.head == "mean" or self.config.readout == "last":
            return probs[:, -1]
        return np.asarray(probs.mean(axis=1), np.float32)

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return what `step` starts from."""

    @abstractmethod
    def step(self, features: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        """Read one more frame of each of B streams.

        Args:
            features: `(B, D)`.
            state: Of `initial_state` or of the step before; not modified.

        Returns:
            Class probabilities of this frame `(B, A)`, and the state after it.
        """
