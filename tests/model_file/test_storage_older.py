"""Files of version 0.1.0, from before heads were classes, give the same numbers; see tests/golden/models/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import textured_frames

from lrcn import model_file
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.inference.recognition.predictor import Recognizer

GOLDEN = Path(__file__).parent.parent / "golden" / "models"
FRAMES = textured_frames(20, 48, 64)


def answers(path: Path) -> dict[str, np.ndarray]:
    with np.load(path.with_suffix(".npz")) as file:
        return dict(file)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("recognition_*.safetensors")), ids=lambda path: path.stem)
@torch.no_grad()
def test_recognition_models_say_what_they_said(path: Path) -> None:
    expected = answers(path)
    header, network = model_file.load(path)
    features, lengths = (torch.from_numpy(expected[name]) for name in ("features", "lengths"))
    found = network.clip_probs(features, lengths).numpy()
    np.testing.assert_allclose(found, expected["clip_probs"], rtol=0, atol=1e-6)
    state, steps = network.initial_state(1), []
    for t in range(features.shape[1]):
        logits, state = network.step(features[:1, t], state)
        steps.append(logits.softmax(-1)[0].numpy())
    np.testing.assert_allclose(steps, expected["step_probs"], rtol=0, atol=1e-6)
    recognizer = Recognizer(header, network)
    np.testing.assert_allclose(recognizer(FRAMES).probs, expected["result_probs"], rtol=0, atol=2e-6)
    windows = recognizer.window_probs(FRAMES)
    np.testing.assert_allclose(windows.probs, expected["window_probs"], rtol=0, atol=2e-6)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("captioning_*.safetensors")), ids=lambda path: path.stem)
def test_captioning_models_say_what_they_said(path: Path) -> None:
    expected = answers(path)
    captioner = Captioner(*model_file.load(path, task="captioning"))
    if "features" in expected:
        contexts = captioner.contexts(list(torch.from_numpy(expected["features"])))
        found = captioner.caption_contexts(contexts, CaptionSearch(num_captions=2))
    else:
        found = [captioner(source, num_captions=2).captions for source in (FRAMES, FRAMES[0], FRAMES[7])]
    assert [[caption.text for caption in best] for best in found] == expected["captions"].tolist()
    log_probs = [[caption.log_prob for caption in best] for best in found]
    np.testing.assert_allclose(log_probs, expected["log_probs"], rtol=1e-5)


def test_there_are_files_of_each_task() -> None:
    assert {path.stem.partition("_")[0] for path in GOLDEN.glob("*.safetensors")} == {"recognition", "captioning"}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("recognition_*.safetensors")), ids=lambda path: path.stem)
def test_tensor_names_stay(path: Path, tmp_path: Path) -> None:
    header, network = model_file.load(path)
    model_file.save(tmp_path / "again.safetensors", header, network.state_dict())
    before, after = load_file(path), load_file(tmp_path / "again.safetensors")
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
