"""The weights of an `LSTMStack` for code that takes its products apart to do some of them once."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from lrcn.models.lstm import LSTMStack


class LayerWeights:
    """The weights of one LSTM layer, its input weight cut into the part for the input and the part for the context."""

    def __init__(self, lstm: LSTMStack, index: int) -> None:
        layer = cast("Any", lstm.layers[index])
        size = lstm.input_size if index == 0 else lstm.hidden_size
        self.input_weight: Tensor = layer.weight_ih_l0[:, :size]
        """`(4K, D)`"""
        self.context_weight: Tensor = layer.weight_ih_l0[:, size:]
        """`(4K, E)`, of no columns in a layer that does not read the context."""
        self.hidden_weight: Tensor = layer.weight_hh_l0
        """`(4K, K)`"""
        self.bias: Tensor = layer.bias_ih_l0 + layer.bias_hh_l0
        """`(4K,)`"""
