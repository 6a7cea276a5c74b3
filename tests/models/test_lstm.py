"""LSTMStack against NumPy's equations, nn.LSTMCell in a loop, and itself step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lrcn.errors import ConfigError, ShapeError
from lrcn.models import lstm
from lrcn.models.lstm import LSTMStack, LSTMState

VARIANTS = {"plain": (1, 0, 0), "two": (2, 0, 0), "1u": (1, 3, 0), "2u": (2, 3, 0), "2f": (2, 3, 1)}
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def make(variant: str, dtype: torch.dtype = torch.float32) -> tuple[LSTMStack, Tensor, LSTMState, Tensor | None]:
    """A stack, inputs (3, 7, 6), a state that is not zero, and its context."""
    num_layers, context_size, context_layer = VARIANTS[variant]
    torch.manual_seed(0)
    stack = LSTMStack(6, 5, num_layers, context_size=context_size, context_layer=context_layer).to(dtype)
    for parameter in stack.parameters():
        parameter.data *= 3  # weights small enough to hide a wrong gate prove nothing
    state = LSTMState(torch.randn(num_layers, 3, 5, dtype=dtype), torch.randn(num_layers, 3, 5, dtype=dtype))
    context = torch.randn(3, context_size, dtype=dtype) if context_size else None
    return stack, torch.randn(3, 7, 6, dtype=dtype), state, context


def run_steps(stack: LSTMStack, inputs: Tensor, state: LSTMState, context: Tensor | None) -> tuple[Tensor, LSTMState]:
    outputs = []
    for t in range(inputs.shape[1]):
        output, state = stack.step(inputs[:, t], state, context)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


def assert_states_close(actual: LSTMState, expected: LSTMState) -> None:
    torch.testing.assert_close(actual.hidden, expected.hidden, **TOLERANCE)
    torch.testing.assert_close(actual.cell, expected.cell, **TOLERANCE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_stepping_matches_the_whole_sequence(variant: str) -> None:
    stack, inputs, state, context = make(variant)
    expected, expected_state = stack(inputs, state, context)
    outputs, final = run_steps(stack, inputs, state, context)
    torch.testing.assert_close(outputs, expected, **TOLERANCE)
    assert_states_close(final, expected_state)


@pytest.mark.parametrize("variant", VARIANTS)
def test_numpy_equations_give_the_same_outputs_and_state(variant: str) -> None:
    stack, inputs, state, context = make(variant, torch.float64)

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    below = inputs.numpy()
    hidden, cell = [], []
    for i, layer in enumerate(stack.layers):
        w_x, w_h, bias = (
            getattr(layer, name).detach().numpy() for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
        )
        h, c = state.hidden[i].numpy(), state.cell[i].numpy()
        outputs = []
        for t in range(7):
            x = below[:, t]
            if context is not None and i == stack.context_layer:
                x = np.concatenate([x, context.numpy()], axis=1)
            gates = x @ w_x.T + h @ w_h.T + bias
            i_gate, f_gate, o_gate = sigmoid(gates[:, :5]), sigmoid(gates[:, 5:10]), sigmoid(gates[:, 15:])
            c = f_gate * c + i_gate * np.tanh(gates[:, 10:15])
            h = o_gate * np.tanh(c)
            outputs.append(h)
        below = np.stack(outputs, axis=1)
        hidden.append(h)
        cell.append(c)

    outputs, final = stack(inputs, state, context)
    np.testing.assert_allclose(outputs.detach(), below, atol=1e-12)
    np.testing.assert_allclose(final.hidden.detach(), np.stack(hidden), atol=1e-12)
    np.testing.assert_allclose(final.cell.detach(), np.stack(cell), atol=1e-12)


@pytest.mark.parametrize("variant", ["plain", "two"])
def test_lstm_cells_in_a_loop_give_the_same_outputs_and_state(variant: str) -> None:
    stack, inputs, state, _ = make(variant)
    cells = []
    for i, layer in enumerate(stack.layers):
        cell = nn.LSTMCell(6 if i == 0 else 5, 5)
        cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
        cells.append(cell)
    states = [(state.hidden[i], state.cell[i]) for i in range(len(cells))]
    outputs = []
    for t in range(7):
        x = inputs[:, t]
        for i, cell in enumerate(cells):
            states[i] = cell(x, states[i])
            x = states[i][0]
        outputs.append(x)

    actual, final = stack(inputs, state)
    torch.testing.assert_close(actual, torch.stack(outputs, dim=1), **TOLERANCE)
    hidden, cell_values = zip(*states, strict=True)
    assert_states_close(final, LSTMState(torch.stack(hidden), torch.stack(cell_values)))


@settings(max_examples=15, deadline=None)
@given(
    variant=st.sampled_from(sorted(VARIANTS)),
    lengths=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    padding=st.sampled_from([0.0, 7.0, -1e6]),
)
def test_right_padding_changes_neither_valid_outputs_nor_the_state(
    variant: str, lengths: list[int], padding: float
) -> None:
    stack, inputs, state, context = make(variant)
    for i, length in enumerate(lengths):
        inputs[i, length:] = padding
    outputs, final = stack(inputs, state, context, torch.tensor(lengths))
    without_lengths, _ = stack(inputs, state, context)
    for i, length in enumerate(lengths):
        one = slice(i, i + 1)
        alone_state = LSTMState(state.hidden[:, one], state.cell[:, one])
        alone, alone_final = stack(inputs[one, :length], alone_state, None if context is None else context[one])
        torch.testing.assert_close(outputs[one, :length], alone, **TOLERANCE)
        torch.testing.assert_close(without_lengths[one, :length], alone, **TOLERANCE)
        assert not outputs[i, length:].any()
        assert_states_close(LSTMState(final.hidden[:, one], final.cell[:, one]), alone_final)


@pytest.mark.parametrize("context_layer", [0, 1])
def test_context_reaches_the_named_layer_only_and_every_step(context_layer: int) -> None:
    stack = LSTMStack(6, 5, 2, context_size=3, context_layer=context_layer)
    widths = [layer.weight_ih_l0.shape[1] for layer in stack.layers]
    assert widths == ([9, 5] if context_layer == 0 else [6, 8])
    context = torch.randn(3, 3, requires_grad=True)
    outputs, _ = stack(torch.randn(3, 7, 6), stack.initial_state(3), context)
    for t in (0, 6):
        (gradient,) = torch.autograd.grad(outputs[:, t].sum(), context, retain_graph=True)
        assert gradient.abs().min() > 0


def test_only_one_bias_of_each_layer_is_trained_and_the_other_stays_zero() -> None:
    stack, inputs, state, _ = make("two")
    trained = {name for name, parameter in stack.named_parameters() if parameter.requires_grad}
    assert trained == {f"layers.{i}.{part}_l0" for i in (0, 1) for part in ("weight_ih", "weight_hh", "bias_ih")}
    optimizer = torch.optim.SGD(stack.parameters(), lr=1.0, weight_decay=0.1)
    stack(inputs, state)[0].square().sum().backward()
    optimizer.step()
    assert all(parameter.grad.abs().sum() > 0 for parameter in stack.parameters() if parameter.requires_grad)
    assert not any(layer.bias_hh_l0.any() for layer in stack.layers)


def test_gradients_of_stepping_match_those_of_the_whole_sequence() -> None:
    stack, inputs, state, context = make("2f", torch.float64)
    trained = [parameter for parameter in stack.parameters() if parameter.requires_grad]
    whole = torch.autograd.grad(stack(inputs, state, context)[0].square().sum(), trained)
    stepped = torch.autograd.grad(run_steps(stack, inputs, state, context)[0].square().sum(), trained)
    torch.testing.assert_close(stepped, whole)


def test_the_state_passed_in_is_not_modified() -> None:
    stack, inputs, state, context = make("2u")
    before = LSTMState(state.hidden.clone(), state.cell.clone())
    stack(inputs, state, context)
    stack.step(inputs[:, 0], state, context)
    assert torch.equal(state.hidden, before.hidden)
    assert torch.equal(state.cell, before.cell)


def test_non_contiguous_inputs_and_states_give_the_same_answer() -> None:
    stack, inputs, state, context = make("2f")
    expected, expected_state = stack(inputs, state, context)
    strided = inputs.transpose(0, 1).contiguous().transpose(0, 1)
    scattered = LSTMState(*(part.transpose(0, 2).contiguous().transpose(0, 2) for part in state))
    assert not strided.is_contiguous()
    assert not scattered.hidden.is_contiguous()
    outputs, final = stack(strided, scattered, context)
    torch.testing.assert_close(outputs, expected)
    assert_states_close(final, expected_state)
    stepped, _ = run_steps(stack, strided, scattered, context)
    torch.testing.assert_close(stepped, expected, **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_outputs_have_the_dtype_of_the_weights(dtype: torch.dtype) -> None:
    stack, inputs, _, context = make("2u", dtype)
    outputs, final = stack(inputs, stack.initial_state(3), context)
    output, stepped = stack.step(inputs[:, 0], stack.initial_state(3), context)
    assert {outputs.dtype, output.dtype, *(part.dtype for part in (*final, *stepped))} == {dtype}


def test_under_automatic_mixed_precision_the_recurrence_stays_in_full_precision() -> None:
    stack, inputs, state, context = make("2f")
    rounded = inputs.bfloat16()
    expected, expected_state = stack(rounded.float(), state, context)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, final = stack(rounded, state, context, torch.tensor([7, 7, 7]))
        stepped, stepped_state = run_steps(stack, rounded, state, context)
    outputs.sum().backward()
    torch.testing.assert_close(outputs, expected, **TOLERANCE)
    torch.testing.assert_close(stepped, expected, **TOLERANCE)
    assert_states_close(final, expected_state)
    assert_states_close(stepped_state, expected_state)


def test_everything_stays_on_the_meta_device() -> None:
    with torch.device("meta"):
        stack = LSTMStack(6, 5, 2, context_size=3, context_layer=1)
    inputs, context = torch.empty(3, 7, 6, device="meta"), torch.empty(3, 3, device="meta")
    outputs, final = stack(inputs, stack.initial_state(3), context)
    output, stepped = stack.step(inputs[:, 0], final, context)
    assert {part.device.type for part in (outputs, output, *final, *stepped)} == {"meta"}
    assert outputs.shape == (3, 7, 5)


def test_selected_sequences_keep_state_and_gradient() -> None:
    stack, inputs, state, _ = make("two")
    _, final = stack(inputs, state)
    chosen = final.select(torch.tensor([2, 2, 0, 1]))
    assert torch.equal(chosen.hidden, final.hidden[:, [2, 2, 0, 1]])
    assert torch.equal(chosen.cell, final.cell[:, [2, 2, 0, 1]])
    assert chosen.hidden.requires_grad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(3, 7, 4)}, "6"),
        ({"inputs": torch.zeros(3, 6)}, r"\(batch, steps, 6\)"),
        ({"state": LSTMState(torch.zeros(2, 2, 5), torch.zeros(2, 3, 5))}, r"state.hidden must be \(2, 3, 5\)"),
        ({"state": LSTMState(torch.zeros(2, 3, 5), torch.zeros(1, 3, 5))}, r"state.cell must be \(2, 3, 5\)"),
        ({"context": None}, "context is missing"),
        ({"context": torch.zeros(3, 4)}, r"context must be \(3, 3\)"),
        ({"lengths": torch.tensor([1, 2])}, "3 integers"),
        ({"lengths": torch.tensor([1.0, 2.0, 3.0])}, "3 integers"),
        ({"lengths": torch.tensor([0, 2, 3])}, "between 1 and 7"),
        ({"lengths": torch.tensor([1, 2, 8])}, "between 1 and 7"),
    ],
)
def test_wrong_shapes_are_named_in_one_line(change: dict[str, object], message: str) -> None:
    stack, inputs, state, context = make("2f")
    arguments: dict[str, object] = {"inputs": inputs, "state": state, "context": context} | change
    with pytest.raises(ShapeError, match=message) as caught:
        stack(**arguments)
    assert "\n" not in str(caught.value)


def test_a_context_that_nobody_configured_is_refused_in_a_step() -> None:
    stack, inputs, state, _ = make("plain")
    with pytest.raises(ShapeError, match="context is given"):
        stack.step(inputs[:, 0], state, torch.zeros(3, 3))
    with pytest.raises(ShapeError, match=r"\(batch, 6\)"):
        stack.step(inputs, state)


@pytest.mark.parametrize("sizes", [(0, 5, 1), (6, 0, 1), (6, 5, 0)])
def test_sizes_below_one_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        LSTMStack(*sizes)


def test_a_context_layer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        LSTMStack(6, 5, 2, context_size=3, context_layer=2)


def test_wide_inputs_take_the_short_way_to_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    stack = LSTMStack(2048, 5, 2).double()
    inputs, weights = torch.randn(3, 7, 2048).double().requires_grad_(), torch.randn(3, 7, 5)
    state = LSTMState(torch.randn(2, 3, 5).double(), torch.randn(2, 3, 5).double())
    calls: list[int] = []

    def noted(self: nn.LSTM, *args: Any, of_torch: Any = nn.LSTM.forward) -> Any:
        calls.append(self.input_size)
        return of_torch(self, *args)

    def run() -> tuple[Tensor, LSTMState, list[Tensor]]:
        calls.clear()
        outputs, after = stack(inputs, state)
        loss = (outputs * weights).sum() + after.hidden.sum() + (after.cell * after.cell).sum()
        return outputs, after, list(torch.autograd.grad(loss, [inputs, *trained]))

    trained = [parameter for parameter in stack.parameters() if parameter.requires_grad]
    monkeypatch.setattr(nn.LSTM, "forward", noted)
    found, found_state, gradients = run()
    assert calls == [5]
    monkeypatch.setattr(lstm, "_WIDE", 2049)
    expected, expected_state, expected_gradients = run()
    assert calls == [2048, 5]
    torch.testing.assert_close(found, expected, **TOLERANCE)
    assert_states_close(found_state, expected_state)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, other, **TOLERANCE)


def test_exports_keep_the_lstm_of_wide_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = LSTMStack(2048, 5).requires_grad_(False)
    monkeypatch.setattr(lstm, "_read", None)
    stack(torch.zeros(1, 2, 2048), stack.initial_state(1))
    with torch.no_grad():
        stack.requires_grad_(True)(torch.zeros(1, 2, 2048), stack.initial_state(1))


def test_wide_inputs_of_different_lengths_end_at_their_own_last_step() -> None:
    torch.manual_seed(0)
    stack = LSTMStack(2048, 5)
    inputs = torch.randn(2, 4, 2048)
    outputs, after = stack(inputs, stack.initial_state(2), lengths=torch.tensor([4, 2]))
    alone, expected = stack(inputs[1:, :2], stack.initial_state(1))
    torch.testing.assert_close(outputs[1:, :2], alone, rtol=1e-5, atol=1e-5)
    assert not outputs[1, 2:].any()
    torch.testing.assert_close(after.cell[:, 1:], expected.cell, rtol=1e-5, atol=1e-5)
