"""What a recognition model does after its CNN, with all that concerns one frame alone taken out of the recurrence.

A frame lies in several windows, and what it gives to the gates of the first LSTM layer is the same in all of them. That
product is most of what the LSTM computes, so it is made once a frame (`embed`), and windows are read from it.

Shapes: N frames, B clips, T frames of a clip, D feature size, K hidden units, M running averages of the change memory,
G values of an embedded frame, A classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.models.lstm import read_gates
from lrcn.models.lstm_weights import LayerWeights
from lrcn.models.recognition import RecognitionModel, change_from_averages


class Recurrence(nn.Module):
    """A recognition model in evaluation mode, from its features on; the results are the model's to rounding.

    With an LSTM G is 4K (1 + M): what the frame gives to the gates, and what it will give to them through its change
    from each running average, which is linear in the frames. Without one G is A, the logits of the frame.
    """

    def __init__(self, model: RecognitionModel) -> None:
        """Take the model, whose weights are shared."""
        super().__init__()
        self.config = model.config
        self.classifier = model.classifier
        self.embedding = model.embedding
        self.lstm = model.lstm
        if model.lstm is not None:
            self.change_memory = model.change_memory

    def embed(self, features: Tensor) -> Tensor:
        """Return what windows need of each frame, `(N, G)`, from its feature `(N, D)`."""
        if self.lstm is None:
            logits: Tensor = self.classifier(features)
            return logits
        values = features if self.embedding is None else self.embedding(features)
        # (4K, (1 + M) E): of the frame, then of each change
        parts = LayerWeights(self.lstm, 0).input_weight.chunk(1 + len(self.config.change_memory), dim=1)
        return torch.cat([F.linear(values, part) for part in parts], dim=1)

    def frame_probs(self, embedded: Tensor) -> Tensor:
        """Return the class probabilities at every frame, `(B, T, A)`, of clips of embedded frames `(B, T, G)`.

        Frames further on change nothing at a frame. Where the head is `mean`, they are those of the mean so far.
        """
        if self.lstm is None:
            if self.config.head == "mean":  # the classifier is linear, so that the mean's logits are the logits' mean
                counts = torch.arange(1, embedded.shape[1] + 1, device=embedded.device)
                embedded = embedded.cumsum(dim=1) / counts.unsqueeze(1)
            return embedded.softmax(-1)
        weights = LayerWeights(self.lstm, 0)
        outputs, _ = read_gates(self._gates(embedded) + weights.bias, weights.hidden_weight)
        hidden = torch.stack(outputs, dim=1)
        for layer in self.lstm.layers[1:]:
            hidden, _ = layer(hidden)
        probs: Tensor = self.classifier(hidden).softmax(-1)
        return probs

    def _gates(self, embedded: Tensor) -> Tensor:
        """Return what enters the gates from below, `(B, T, 4K)`, without the bias."""
        gates, *later = embedded.chunk(1 + len(self.config.change_memory), dim=2)
        if later:
            length = embedded.shape[1]
            frames = torch.eye(length, dtype=embedded.dtype, device=embedded.device)
            # each change is a sum over the frames: what it is of the unit vectors are the sum's weights
            changes = change_from_averages(frames[None], self.change_memory)[0].chunk(len(later), dim=1)
            for weights, values in zip(changes, later, strict=True):
                gates = gates + weights @ values
        return gates
