from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import textured_frames

from lrcn.inference.parity import real_images
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.serving.shared_network import NetworkThread, SharedEncoder, SharedRuntime, exact_sizes
from lrcn.video.views import CENTER_VIEW, View, cut_crops


class MeanColour:
    """A CNN whose feature is the mean colour, and that says how many images each call brought."""

    name, device = "mean colour", "cpu"

    def __init__(self, rounds_from: int = 1000) -> None:
        self.calls: list[int] = []
        self.entered, self.free = threading.Event(), threading.Event()
        self.free.set()
        self._rounds_from = rounds_from

    def encode(self, images: np.ndarray, view: View) -> np.ndarray:
        self.entered.set()
        self.free.wait()
        self.calls.append(len(images))
        exact = images.mean(axis=(1, 2), dtype=np.float64)
        return (exact + 1e-4 * (len(images) >= self._rounds_from)).astype(np.float32)


def ask_together(network: NetworkThread, cnn: MeanColour, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Let as many threads ask as there are images, the first of which runs while the others come."""
    shared = SharedEncoder(cnn, network)  # type: ignore[arg-type]
    cnn.free.clear()
    with ThreadPoolExecutor(len(images)) as pool:
        asked = [pool.submit(shared.encode, images[0], CENTER_VIEW)]
        cnn.entered.wait()
        asked += [pool.submit(shared.encode, image, CENTER_VIEW) for image in images[1:]]
        while len(network._singles) < len(images) - 1:
            threading.Event().wait(0.001)
        cnn.free.set()
        return [one.result() for one in asked]


@pytest.mark.parametrize(("sizes", "calls"), [((2, 4, 8), [1, 8, 2]), ((4,), [1, 4, 4, 1, 1]), ((), [1] * 11)])
def test_single_frames_that_wait_go_together_as_far_as_that_is_exact(sizes: tuple[int, ...], calls: list[int]) -> None:
    images = [textured_frames(1, 8, 8, seed=seed) for seed in range(11)]
    network, cnn = NetworkThread(), MeanColour()
    network.sizes = sizes
    found = ask_together(network, cnn, images)
    assert cnn.calls == calls
    assert (network.calls, network.frames) == (len(calls), 11)
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(images).mean(axis=(1, 2)).astype(np.float32))


def test_frames_of_other_sizes_wait_for_their_turn() -> None:
    images = [textured_frames(1, 8, 8 + seed % 2, seed=seed) for seed in range(9)]
    network, cnn = NetworkThread(), MeanColour()
    network.sizes = (2, 4, 8)
    found = ask_together(network, cnn, images)
    assert sorted(cnn.calls) == [1, 4, 4]
    expected = [image.mean(axis=(1, 2)).astype(np.float32) for image in images]
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))


def test_an_error_reaches_all_who_were_together_and_nobody_else() -> None:
    network, cnn = NetworkThread(), MeanColour()
    shared = SharedEncoder(cnn, network)  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        shared.encode(np.zeros(1, np.uint8), CENTER_VIEW)
    assert shared.encode(textured_frames(1, 8, 8), CENTER_VIEW).shape == (1, 3)


def test_sizes_that_round_otherwise_are_not_exact() -> None:
    images = textured_frames(8, 8, 8)
    assert exact_sizes(MeanColour(), images, CENTER_VIEW) == (2, 4, 8)  # type: ignore[arg-type]
    assert exact_sizes(MeanColour(rounds_from=3), images, CENTER_VIEW) == (2,)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["tiny", "demo"])
def test_a_network_that_is_shared_gives_the_bits_of_one_that_is_not(model: str, tiny_model: Path) -> None:
    alone = Recognizer.load(tiny_model if model == "tiny" else model, device="cpu")
    preprocess = alone.header.preprocess
    network = NetworkThread()
    images = cut_crops(real_images(preprocess)[:8], CENTER_VIEW, preprocess)
    network.sizes = exact_sizes(alone.runtime, images, CENTER_VIEW)
    shared = SharedRuntime(alone.runtime, network)
    expected = [np.asarray(alone.runtime.embed_images(image[None], CENTER_VIEW)) for image in images]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(lambda image: shared.embed_images(image[None], CENTER_VIEW), images))
            np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
    chunk = shared.embed_images(images[:5], CENTER_VIEW)
    np.testing.assert_array_equal(chunk, alone.runtime.embed_images(images[:5], CENTER_VIEW))
    joined = shared.join([chunk, found[0]])  # of one kind, whatever way they came
    np.testing.assert_array_equal(shared.clip_probs(joined[None]), alone.runtime.clip_probs(joined[None]))
