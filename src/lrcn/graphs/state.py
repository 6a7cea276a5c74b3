"""What is remembered between two steps of many streams or sentences at once, by name. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[np.float32]]
"""What a recurrent run remembers, by name, as `RecognitionModel.initial_state` says."""


def batch_axis(name: str) -> int:
    """Return which axis of a part of the state counts the streams or sentences."""
    return 1 if name.rpartition(".")[2] in ("hidden", "cell") else 0  # those are (num_layers, B, K), as torch has them


def join_states(states: Sequence[State]) -> State:
    """Return the state of all streams in one batch, in order."""
    return {name: np.concatenate([state[name] for state in states], axis=batch_axis(name)) for name in states[0]}


def split_state(state: State, number: int) -> list[State]:
    """Return the state of each of `number` equal parts of a batch."""
    parts = {name: np.split(part, number, axis=batch_axis(name)) for name, part in state.items()}
    return [{name: parts[name][i] for name in state} for i in range(number)]
