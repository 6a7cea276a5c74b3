"""One training step on 8 clips of 16 frames, like for like: the CNN trained too, against the loop over frames.

The plain step trains the network of `plain.py` in float32 and sends one time step of all clips through the CNN after
the other; the kind one does so with our network object, channels last. The step of the head on cached features does
less work (no fine-tuning, no new views): that is its point, and what it gives up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.plain import PlainNetwork
from benchmarks.subjects import alexnet_lstm
from benchmarks.timing import Figure, compare_all
from lrcn.devices import has_native_bf16
from lrcn.models.recognition import frame_loss

CLIPS, LENGTH = 8, 16
PLAIN = "plain: CNN one time step after the other, fp32"
KIND = "kind: the same with the channels last"
FP32 = "training step end to end, one CNN call, fp32"
BF16 = "training step end to end, one CNN call, bf16 autocast"
HEAD = "step of the head on cached features (less work: no fine-tuning)"
GOALS = {FP32: 1.4, BF16: 2.8, HEAD: 130.0}


def run() -> Iterator[Figure]:
    """Check that all ways have the same logits, then time."""
    _, model = alexnet_lstm()
    network = PlainNetwork(model)
    model.requires_grad_(True)
    frames = 60 * torch.randn(CLIPS, LENGTH, 3, 227, 227)  # about as pixels less their mean

    def logits_of_plain() -> Tensor:
        return network.logits(network.encode_in_a_loop(frames))

    def logits_of_kind() -> Tensor:
        return model(torch.stack([model.encode(frames[:, t]) for t in range(LENGTH)], dim=1))

    def logits_of_batch() -> Tensor:
        return model(model.encode(frames.flatten(0, 1)).unflatten(0, (CLIPS, LENGTH)))

    with torch.no_grad():
        cached = model.encode(frames.flatten(0, 1)).unflatten(0, (CLIPS, LENGTH))
        ways = (logits_of_batch, logits_of_plain, logits_of_kind, lambda: model(cached))
        found = torch.stack([way() for way in ways])
    error = float((found - found[0]).abs().max() / found.std())
    if error > 1e-3:
        raise SystemExit(f"the logits differ by {error} of their deviation: nothing was timed")
    same = f"logits equal to {error:.0e} of their deviation"
    plain, kind, batched = (
        _step(trained, way)
        for trained, way in ((network, logits_of_plain), (model, logits_of_kind), (model, logits_of_batch))
    )
    head = nn.ModuleList([part for name, part in model.named_children() if name != "backbone"])
    ours = {FP32: batched, HEAD: _step(head, lambda: model(cached))}
    if has_native_bf16(torch.device("cpu")):
        ours[BF16] = _step(model, logits_of_batch, bf16=True)
    else:
        print("left out: bf16 autocast, which this CPU emulates, a minute a step")
    for (title, against), ratio in compare_all(ours, {PLAIN: plain, KIND: kind}).items():
        yield Figure(title, against, *ratio, same, GOALS[title] if against == PLAIN else None)


def _step(trained: nn.Module, logits: Callable[[], Tensor], *, bf16: bool = False) -> Callable[[], None]:
    parameters = [parameter for parameter in trained.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-6)
    labels = torch.arange(CLIPS)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = frame_loss(logits(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
