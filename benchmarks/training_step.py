"""One training step on 8 clips of 16 frames, like for like: the CNN trained too, against the loop over frames.

The plain loop sends one time step of all clips through the CNN after the other, in fp32. The step of the head on
cached features does less work (no fine-tuning, no new views): that is its point, and what it gives up.
"""

from __future__ import annotations

import contextlib

import torch

from benchmarks.subjects import alexnet_lstm
from benchmarks.timing import Figure, compare
from lrcn.models.recognition import RecognitionModel, frame_loss

CLIPS, LENGTH = 8, 16


def run() -> list[Figure]:
    """Check that both ways have the same loss, then time."""
    _, model = alexnet_lstm()
    model.requires_grad_(True)
    frames = torch.randn(CLIPS, LENGTH, 3, 227, 227)
    labels = torch.arange(CLIPS)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-6)

    def frame_by_frame() -> torch.Tensor:
        return torch.stack([model.encode(frames[:, t]) for t in range(LENGTH)], dim=1)

    def batched() -> torch.Tensor:
        return model.encode(frames.flatten(0, 1)).unflatten(0, (CLIPS, LENGTH))

    def loss_of(model: RecognitionModel, features: torch.Tensor) -> torch.Tensor:
        return frame_loss(model(features), labels)

    def step(features_of: object, *, bf16: bool = False) -> None:
        with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = loss_of(model, features_of())  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        cached = batched()
        losses = [float(loss_of(model, features)) for features in (cached, frame_by_frame())]
    if abs(losses[0] - losses[1]) > 1e-4:
        raise SystemExit(f"the losses are {losses}: nothing was timed")
    same = f"same loss to {abs(losses[0] - losses[1]):.0e}"
    plain = lambda: step(frame_by_frame)  # noqa: E731
    rows = (
        ("training step end to end, one CNN call, fp32", lambda: step(batched), 1.4),
        ("training step end to end, one CNN call, bf16 autocast", lambda: step(batched, bf16=True), 2.8),
    )
    figures = [
        Figure(name, "CNN one time step after the other, fp32", *compare(ours, plain, rounds=3), same, goal)
        for name, ours, goal in rows
    ]
    head = [p for name, p in model.named_parameters() if not name.startswith("backbone.") and p.requires_grad]
    head_optimizer = torch.optim.SGD(head, lr=1e-6)

    def head_step() -> None:
        loss = loss_of(model, cached)
        head_optimizer.zero_grad()
        loss.backward()
        head_optimizer.step()

    ratio = compare(head_step, plain, rounds=3)
    name = "step of the head on cached features (less work: no fine-tuning)"
    return [*figures, Figure(name, "CNN one time step after the other, fp32", *ratio, same, 130.0)]
