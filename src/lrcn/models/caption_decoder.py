"""The words of a captioning model, made fast for searches: what a picture or a model gives once is computed once.

Against `CaptioningModel.step`, whose answers it gives up to rounding: the context's share of the gates is a product for
each picture, and a word's share one for each word of the vocabulary that is ever said, not both for every word of every
beam; the products with the output of the layer below and with a layer's own last output are one; and on CPUs the
weights are laid out beforehand as oneDNN reads them, which is what small batches wait for.

Shapes: N sentences, E context, K hidden units, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from lrcn.models.captioning import CaptioningModel
from lrcn.models.lstm import LayerWeights, next_cell

Product = Callable[[Tensor], Tensor]

_ONEDNN_OPERATIONS = ("_reorder_linear_weight", "_linear_pointwise")


class CaptionDecoder(Protocol):
    """What reads the features of pictures and says words about them."""

    def contexts(self, features: Sequence[Tensor]) -> Tensor:
        """Return the context vectors `(N, E)` of N pictures or videos from their features, each `(T, D)`."""

    def initial_state(self, contexts: Tensor) -> Any:
        """Return the state before the first token, for contexts `(N, E)`: a `lrcn.decoding.Selectable`."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return log probabilities of the next token `(N, V)` and the state after it: a step of `lrcn.decoding`."""


class DecoderState(NamedTuple):
    """What is remembered between two words of N sentences."""

    hidden: tuple[Tensor, ...]
    """`(N, K)` of each layer."""
    cell: tuple[Tensor, ...]
    """`(N, K)` of each layer."""
    context_gates: Tensor
    """`(N, 4K)`: what the context adds to the gates of the layer that reads it."""

    def select(self, index: Tensor) -> DecoderState:
        """The state of the sentences `index` (`(M,)`, int64, repeats allowed)."""
        hidden, cell = (tuple(part.index_select(0, index) for part in parts) for parts in self[:2])
        return DecoderState(hidden, cell, self.context_gates.index_select(0, index))


class TorchCaptionDecoder:
    """A captioning model's weights as they are now, without gradients: later changes of the model do not reach it."""

    @torch.no_grad()
    def __init__(self, model: CaptioningModel) -> None:
        """Prepare the weights, which takes as long as some words of one picture."""
        self._model, lstm = model, model.lstm
        layers = [LayerWeights(lstm, index) for index in range(lstm.num_layers)]
        self._hidden_size, self._context_layer = lstm.hidden_size, lstm.context_layer
        self._embedding = model.embedding
        self._word_product = _product(layers[0].input_weight, layers[0].bias)
        weight = model.classifier.weight
        # filled as words are said; untouched pages of it take no memory
        self._word_gates = weight.new_empty(model.config.vocabulary_size, 4 * lstm.hidden_size)
        self._known = torch.zeros(model.config.vocabulary_size, dtype=torch.bool, device=weight.device)
        self._gates = [_product(layers[0].hidden_weight, None)] + [
            _product(torch.cat([layer.input_weight, layer.hidden_weight], dim=1), layer.bias) for layer in layers[1:]
        ]
        self._context_weight = layers[lstm.context_layer].context_weight
        self._logits = _product(model.classifier.weight, model.classifier.bias)

    @torch.no_grad()
    def contexts(self, features: Sequence[Tensor]) -> Tensor:
        """As `CaptionDecoder.contexts`."""
        lengths = torch.tensor([len(of_one) for of_one in features])
        device = self._embedding.weight.device
        padded = torch.nn.utils.rnn.pad_sequence([of_one.to(device) for of_one in features], batch_first=True)
        return self._model.context(padded, None if len(set(lengths.tolist())) == 1 else lengths)

    @torch.no_grad()
    def initial_state(self, contexts: Tensor) -> DecoderState:
        """As `CaptionDecoder.initial_state`."""
        zeros = (contexts.new_zeros(len(contexts), self._hidden_size),) * len(self._gates)
        return DecoderState(zeros, zeros, contexts @ self._context_weight.T)

    @torch.no_grad()
    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """As `CaptionDecoder.step`."""
        hidden: list[Tensor] = []
        cell: list[Tensor] = []
        for index, product in enumerate(self._gates):
            if index == 0:
                gates = self._gates_of_words(tokens) + product(state.hidden[0])
            else:
                gates = product(torch.cat([hidden[-1], state.hidden[index]], dim=1))
            if index == self._context_layer:
                gates += state.context_gates
            output, after = next_cell(gates, state.cell[index])
            hidden.append(output)
            cell.append(after)
        after_state = DecoderState(tuple(hidden), tuple(cell), state.context_gates)
        return self._logits(hidden[-1]).log_softmax(dim=-1), after_state

    def _gates_of_words(self, tokens: Tensor) -> Tensor:
        """What words add to the gates of the first layer, its bias included, `(N, 4K)`."""
        new = tokens[~self._known[tokens]].unique()  # type: ignore[no-untyped-call]
        if len(new):
            self._word_gates[new] = self._word_product(self._embedding(new))
            self._known[new] = True
        return self._word_gates[tokens]


def _product(weight: Tensor, bias: Tensor | None) -> Product:
    """Return x -> x W^T + b, on CPUs with the weights in oneDNN's own layout.

    With MKL, which torch asks by default, 5 rows take three times as long, and 320 rows a tenth longer or, where the
    number of outputs is no multiple of 16, three quarters (AVX-512, torch 2.14).
    """
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    operations = torch.ops.mkldnn  # torch's own, not promised: another version may lack them
    has_them = has_onednn and all(hasattr(operations, name) for name in _ONEDNN_OPERATIONS)
    if has_them and weight.device.type == "cpu" and weight.dtype == torch.float32:
        packed = operations._reorder_linear_weight(weight.contiguous())
        return lambda inputs: operations._linear_pointwise(inputs, packed, bias, "none", [], "")
    return lambda inputs: F.linear(inputs, weight, bias)
