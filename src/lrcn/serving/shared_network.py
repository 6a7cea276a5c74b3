"""One network for all requests of a process: a thread that runs it, and single frames that go through it together.

A frame of a stream, or a picture, is too little for a CNN; a chunk of a video is enough (eight frames at once are as
fast a frame as sixty-four, docs/serving.md). So single frames that wait are joined, but only as many at once as were
seen to give the very bits that each frame gives alone: an answer never depends on who else asks.

Shapes: N frames, D feature size, G values of an embedded frame.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.encoding import FrameEncoder
from lrcn.graphs.state import State
from lrcn.inference.recognition.runtime import Rows, Runtime
from lrcn.video.views import View

MOST_TOGETHER = 8
"""Single frames that are joined at most."""

SIZES_TRIED = (2, 4, 8)
"""Of seven frames that wait four go first."""


@dataclass(eq=False)
class _Single:
    image: NDArray[np.uint8]
    view: View
    run: Callable[[NDArray[np.uint8], View], list[Any]]
    """Takes N images and gives what is wanted of each."""
    done: Future[Any] = field(default_factory=Future)

    def goes_with(self, other: _Single) -> bool:
        same = self.image.shape == other.image.shape and self.view == other.view
        return same and self.run == other.run


class NetworkThread:
    """The only thread in which a network runs; it takes single frames and other calls in turn."""

    def __init__(self) -> None:
        """Start the thread, which ends with the process."""
        self._singles: deque[_Single] = deque()
        self._others: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self.sizes: tuple[int, ...] = ()
        """How many single frames may be joined: 1 always may, and need not be here."""
        self.calls = 0
        """Of the CNN."""
        self.frames = 0
        """Through the CNN."""
        threading.Thread(target=self._work, name="lrcn-network", daemon=True).start()

    def run(self, call: Callable[[], Any], *, num_frames: int = 0) -> Any:
        """Return what a call returns, once it was its turn; `num_frames` go through the CNN in it."""

        def counted() -> Any:
            self._count(num_frames)
            return call()

        done: Future[Any] = Future()
        with self._wake:
            self._others.append((counted, done))
            self._wake.notify()
        return done.result()

    def run_single(
        self, run: Callable[[NDArray[np.uint8], View], list[Any]], image: NDArray[np.uint8], view: View
    ) -> Any:
        """Return what `run` gives of an image `(1, H, W, 3)`, which others may go with."""
        single = _Single(image, view, run)
        with self._wake:
            self._singles.append(single)
            self._wake.notify()
        return single.done.result()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._singles or self._others)
                together = self._next_singles()
                other = self._others.popleft() if self._others else None
            if together:
                self._run_together(together)
            if other is not None:
                _settle(other[0], [other[1]])

    def _next_singles(self) -> list[_Single]:
        """Take the first single frame that waits, and as many others as may go with it."""
        if not self._singles:
            return []
        fitting = [single for single in self._singles if single.goes_with(self._singles[0])]
        most = max([1, *(size for size in self.sizes if size <= len(fitting))])
        together = fitting[:most]
        for single in together:
            self._singles.remove(single)
        return together

    def _run_together(self, together: Sequence[_Single]) -> None:
        def run() -> list[Any]:
            self._count(len(together))
            return together[0].run(np.concatenate([single.image for single in together]), together[0].view)

        _settle(run, [single.done for single in together], each=True)

    def _count(self, num_frames: int) -> None:
        self.calls += num_frames > 0
        self.frames += num_frames


def _settle(call: Callable[[], Any], waiting: Sequence[Future[Any]], *, each: bool = False) -> None:
    try:
        value = call()
    except BaseException as exc:
        for done in waiting:
            done.set_exception(exc)
        return
    for done, own in zip(waiting, value if each else [value], strict=True):
        done.set_result(own)


class SharedEncoder(FrameEncoder):
    """A CNN that many threads use."""

    def __init__(self, encoder: FrameEncoder, network: NetworkThread) -> None:
        """Take the CNN, and the thread in which it is to run."""
        self.name, self.device = encoder.name, encoder.device
        self._encoder, self._network = encoder, network

    def encode(self, images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
        """As `FrameEncoder.encode`."""
        if len(images) == 1:
            features: NDArray[np.float32] = self._network.run_single(self._encode_each, images, view)
            return features
        return _run(self._network, lambda: self._encoder.encode(images, view), len(images))

    def _encode_each(self, images: NDArray[np.uint8], view: View) -> list[NDArray[np.float32]]:
        features = self._encoder.encode(images, view)
        return [features[place : place + 1].copy() for place in range(len(features))]


class SharedRuntime(Runtime):
    """A recognition network that many threads use."""

    def __init__(self, runtime: Runtime, network: NetworkThread) -> None:
        """Take the network, and the thread in which it is to run."""
        self.name, self.device, self.has_step = runtime.name, runtime.device, runtime.has_step
        self._runtime, self._network = runtime, network
        self._encoder = SharedEncoder(runtime, network)

    def encode(self, images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
        """As `FrameEncoder.encode`."""
        return self._encoder.encode(images, view)

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Runtime.embed`."""
        return _run(self._network, lambda: self._runtime.embed(features))

    def embed_images(self, images: NDArray[np.uint8], view: View) -> Rows:
        """As `Runtime.embed_images`."""
        if len(images) == 1:
            return self._network.run_single(self._runtime.embed_each, images, view)
        return self._network.run(lambda: self._runtime.embed_images(images, view), num_frames=len(images))

    def join(self, parts: Sequence[Rows], axis: int = 0) -> Rows:
        """As `Runtime.join`."""
        return self._runtime.join(parts, axis)

    def clip_probs(self, embedded: Rows) -> NDArray[np.float32]:
        """As `Runtime.clip_probs`."""
        return _run(self._network, lambda: self._runtime.clip_probs(embedded))

    def initial_state(self, batch_size: int) -> State:
        """As `Runtime.initial_state`."""
        return self._runtime.initial_state(batch_size)

    def step(self, features: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        """As `Runtime.step`."""
        stepped: tuple[NDArray[np.float32], State] = self._network.run(lambda: self._runtime.step(features, state))
        return stepped


def _run(network: NetworkThread, call: Callable[[], NDArray[np.float32]], num_frames: int = 0) -> NDArray[np.float32]:
    values: NDArray[np.float32] = network.run(call, num_frames=num_frames)
    return values


def exact_sizes(encoder: FrameEncoder, images: NDArray[np.uint8], view: View) -> tuple[int, ...]:
    """Return how many single frames can go through a CNN together and each come out as it does alone, bit for bit.

    Kernels are chosen by the size of a batch, and may add up in another order; which do is a matter of the machine.
    What follows the CNN runs for each frame by itself.

    Args:
        encoder: The CNN.
        images: `(MOST_TOGETHER, H, W, 3)`, resized already.
        view: Which crop of them.
    """
    alone = [encoder.encode(images[place : place + 1], view)[0] for place in range(len(images))]
    return tuple(
        size
        for size in SIZES_TRIED
        if all(
            one.tobytes() == other.tobytes()
            for one, other in zip(encoder.encode(images[:size], view), alone, strict=False)
        )
    )
