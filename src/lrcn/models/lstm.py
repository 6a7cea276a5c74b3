"""A stack of LSTM layers that reads whole sequences and single steps with the same weights."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lrcn.errors import ConfigError, ShapeError

_WIDE = 2048
"""Input values from which products apart are faster than nn.LSTM: at 4,096 (fc6) training takes half of the time."""


class LSTMState(NamedTuple):
    """What an `LSTMStack` remembers between steps; explicit, never inside the module."""

    hidden: Tensor
    """`(num_layers, B, K)`"""
    cell: Tensor
    """`(num_layers, B, K)`"""

    def select(self, index: Tensor) -> LSTMState:
        """The state of the sequences `index` (`(N,)`, int64, repeats allowed): beams that survive, for example."""
        return LSTMState(self.hidden.index_select(1, index), self.cell.index_select(1, index))


class LSTMStack(nn.Module):
    """`num_layers` LSTM layers, optionally with a context vector joined to one layer's input at every step.

    For each layer, with gates in torch's order i, f, g, o:

        i, f, o = sigmoid(W_ih x + W_hh h + b);  g = tanh(...);  c' = f c + i g;  h' = o tanh(c')

    Each layer has ONE bias in effect, as in Caffe: `bias_ih` is trained, `bias_hh` is zero and frozen. Two trained
    biases would double the effective learning rate of their sum, so weights imported from Caffe would train unlike
    the original.

    Source: Donahue et al. 2015 (arXiv:1411.4389), sec. 2 for the cell; the factored variant (context joined to the
    second layer) is in its image captioning section.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, context_size: int = 0, context_layer: int = 0
    ) -> None:
        """Make the layers with torch's own initialisation, uniform in +-1/sqrt(hidden_size).

        Args:
            input_size: Size D of the input at each step.
            hidden_size: Units K of every layer.
            num_layers: Layers, each reading the one below.
            context_size: Size E of the context vector; 0 for none.
            context_layer: The layer, counted from 0, whose input is `cat(x, context)`.

        Raises:
            ConfigError: If a size or `context_layer` is out of range.
        """
        super().__init__()
        if min(input_size, hidden_size, num_layers) < 1 or context_size < 0:
            raise ConfigError(
                f"LSTM sizes must be at least 1 (context_size 0), got input_size {input_size}, "
                f"hidden_size {hidden_size}, num_layers {num_layers}, context_size {context_size}"
            )
        if not 0 <= context_layer < num_layers:
            raise ConfigError(f"context_layer must be between 0 and {num_layers - 1}, got {context_layer}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.context_size = context_size
        self.context_layer = context_layer
        self.layers = nn.ModuleList()
        for i in range(num_layers):
            size = input_size if i == 0 else hidden_size
            layer = nn.LSTM(size + (context_size if i == context_layer else 0), hidden_size, batch_first=True)
            nn.init.zeros_(_weights(layer)[3]).requires_grad_(False)
            self.layers.append(layer)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros for `batch_size` sequences, on the device and in the dtype of the weights."""
        weight = next(self.parameters())
        shape = (self.num_layers, batch_size, self.hidden_size)
        return LSTMState(weight.new_zeros(shape), weight.new_zeros(shape))

    def forward(
        self, inputs: Tensor, state: LSTMState, context: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LSTMState]:
        """Read whole sequences, as `step` does one column after the other.

        Args:
            inputs: `(B, T, D)`, padded on the right where sequences differ in length.
            state: Before the first step, each part `(num_layers, B, K)`; not modified.
            context: `(B, E)`; required exactly when `context_size > 0`.
            lengths: Valid steps of each sequence, `(B,)` integers from 1 to T; None means that all T are valid.
                Only the returned state needs it: outputs at valid steps never depend on what comes after them.

        Returns:
            Top-layer outputs `(B, T, K)`, zero past a sequence's length where `lengths` is given, and the state
            after each sequence's own last valid step.

        Raises:
            ShapeError: If a size differs from the configured one or a length is out of range.
        """
        if inputs.dim() != 3:
            raise ShapeError(f"LSTM inputs must be (batch, steps, {self.input_size}), got {tuple(inputs.shape)}")
        self._check(inputs, state, context)
        if _under_autocast(inputs.device.type):
            with torch.autocast(inputs.device.type, enabled=False):
                outputs, after = self(*self._in_own_dtype(inputs, state, context), lengths)
                return outputs, after
        batch, steps = inputs.shape[:2]
        cpu_lengths = None if lengths is None else _checked_lengths(lengths, batch, steps)
        outputs, hidden, cell = inputs, [], []
        for i, layer in enumerate(self.layers):
            if context is not None and i == self.context_layer:
                outputs = torch.cat([outputs, context.unsqueeze(1).expand(-1, steps, -1)], dim=2)
            before = (state.hidden[i : i + 1].contiguous(), state.cell[i : i + 1].contiguous())
            if cpu_lengths is None and _learns_from_wide_inputs(layer, outputs):
                outputs, h, c = _read(layer, outputs, before)
            elif cpu_lengths is None:
                outputs, (h, c) = layer(outputs, before)
            else:
                packed = pack_padded_sequence(outputs, cpu_lengths, batch_first=True, enforce_sorted=False)
                packed, (h, c) = layer(packed, before)
                outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=steps)
            hidden.append(h)
            cell.append(c)
        return outputs, LSTMState(torch.cat(hidden), torch.cat(cell))

    def step(self, inputs: Tensor, state: LSTMState, context: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """Advance every layer by one time step, as `forward` does for each column of a sequence.

        Args:
            inputs: `(B, D)`.
            state: Before the step, each part `(num_layers, B, K)`; not modified.
            context: `(B, E)`; required exactly when `context_size > 0`.

        Returns:
            Top-layer output `(B, K)` and the state after the step.

        Raises:
            ShapeError: If a size differs from the configured one.
        """
        if inputs.dim() != 2:
            raise ShapeError(f"LSTM step inputs must be (batch, {self.input_size}), got {tuple(inputs.shape)}")
        self._check(inputs, state, context)
        if _under_autocast(inputs.device.type):
            with torch.autocast(inputs.device.type, enabled=False):
                return self.step(*self._in_own_dtype(inputs, state, context))
        output, hidden, cell = inputs, [], []
        for i, layer in enumerate(self.layers):
            if context is not None and i == self.context_layer:
                output = torch.cat([output, context], dim=1)
            # the kernel of nn.LSTMCell: four times as fast as nn.LSTM on a sequence of length 1
            output, c = torch.lstm_cell(output, (state.hidden[i], state.cell[i]), *_weights(layer))
            hidden.append(output)
            cell.append(c)
        return output, LSTMState(torch.stack(hidden), torch.stack(cell))

    def _in_own_dtype(
        self, inputs: Tensor, state: LSTMState, context: Tensor | None
    ) -> tuple[Tensor, LSTMState, Tensor | None]:
        """Everything in the dtype of the weights.

        Under automatic mixed precision the recurrence stays in full precision: oneDNN has no LSTM whose inputs and
        weights differ in dtype (torch 2.14), and rounding errors would pile up from step to step.
        """
        dtype = next(self.parameters()).dtype
        context = None if context is None else context.to(dtype)
        return inputs.to(dtype), LSTMState(state.hidden.to(dtype), state.cell.to(dtype)), context

    def _check(self, inputs: Tensor, state: LSTMState, context: Tensor | None) -> None:
        batch = inputs.shape[0]
        if inputs.shape[-1] != self.input_size:
            raise ShapeError(f"LSTM inputs must end in {self.input_size} values, got {tuple(inputs.shape)}")
        expected = (self.num_layers, batch, self.hidden_size)
        for name, part in zip(state._fields, state, strict=True):
            if part.shape != expected:
                raise ShapeError(f"LSTM state.{name} must be {expected}, got {tuple(part.shape)}")
        if (context is None) != (self.context_size == 0):
            raise ShapeError(
                f"context_size is {self.context_size}, context is {'missing' if context is None else 'given'}"
            )
        if context is not None and context.shape != (batch, self.context_size):
            raise ShapeError(f"context must be {(batch, self.context_size)}, got {tuple(context.shape)}")


class LayerWeights:
    """The weights of one layer of a stack, for code that takes its products apart to do some of them once.

    The input weight is cut into the part for the input and the part for the context.
    """

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


def next_cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the output and the cell after a step: the equations of `LSTMStack`, gates in torch's order i, f, g, o.

    Args:
        gates: All products and the bias, added up, `(..., 4K)`.
        cell: Before the step, `(..., K)`.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    after = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(after), after


def read_gates(
    gates: Tensor, hidden_weight: Tensor, before: tuple[Tensor, Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the outputs and the cells of a layer at every step, `(B, K)` each, from what enters its gates from below.

    Args:
        gates: `(B, T, 4K)`, with the bias.
        hidden_weight: `(4K, K)`.
        before: Output and cell before the first step, `(B, K)` each; None for zeros.
    """
    output, cell = before or (None, gates.new_zeros(gates.shape[0], hidden_weight.shape[1]))
    outputs, cells = [], []
    for of_step in gates.unbind(1):
        total = of_step if output is None else torch.addmm(of_step, output, hidden_weight.T)
        output, cell = next_cell(total, cell)
        outputs.append(output)
        cells.append(cell)
    return outputs, cells


def _learns_from_wide_inputs(layer: nn.Module, inputs: Tensor) -> bool:
    """Whether a gradient is wanted and the inputs have many values: on the CPU.

    The kernel behind nn.LSTM there reads such inputs slower than a matrix product does. It makes their gradient, a
    third of all its products, even where nobody wants it (cached features).
    """
    is_wide = inputs.device.type == "cpu" and inputs.shape[-1] >= _WIDE
    return is_wide and torch.is_grad_enabled() and _weights(layer)[0].requires_grad


def _read(layer: nn.Module, inputs: Tensor, before: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Do what nn.LSTM does, the products with the inputs of all steps at once; parts of the state are `(1, B, K)`."""
    input_weight, hidden_weight, input_bias, hidden_bias = _weights(layer)
    gates = F.linear(inputs, input_weight, input_bias + hidden_bias)
    hidden, cell = before
    outputs, cells = read_gates(gates, hidden_weight, (hidden[0], cell[0]))
    return torch.stack(outputs, dim=1), outputs[-1][None], cells[-1][None]


def _under_autocast(device_type: str) -> bool:
    # asking about a device without autocast (`meta`) is an error
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def _weights(layer: nn.Module) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return cast("tuple[Tensor, Tensor, Tensor, Tensor]", tuple(getattr(layer, name) for name in names))


def _checked_lengths(lengths: Tensor, batch: int, steps: int) -> Tensor:
    """The lengths as int64 on the CPU, where packing wants them."""
    if lengths.shape != (batch,) or lengths.is_floating_point():
        raise ShapeError(f"lengths must be {batch} integers, got {tuple(lengths.shape)} of {lengths.dtype}")
    on_cpu = lengths.to("cpu", torch.int64)
    if batch and not 1 <= int(on_cpu.min()) <= int(on_cpu.max()) <= steps:
        raise ShapeError(f"lengths must be between 1 and {steps} steps, got {on_cpu.tolist()}")
    return on_cpu
