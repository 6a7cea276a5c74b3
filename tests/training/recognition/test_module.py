from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.training.tiny_training import tiny_config
from torch import nn

from lrcn.config import PreprocessConfig
from lrcn.data.recognition.datasets import FeatureBatch, FrameBatch
from lrcn.errors import ConfigError, DataError
from lrcn.models.recognition import RecognitionModel
from lrcn.training.module import RunPlan, batch_seed
from lrcn.training.recognition.module import RecognitionModule
from lrcn.training.run_state import RunState
from lrcn.video.transforms import Preprocess
from lrcn.video.views import CENTER_VIEW, View

PIXELS = PreprocessConfig(resize=36, crop=32)


def make_module(*, fixed_statistics: bool = True, frozen: bool = False, **changes: Any) -> RecognitionModule:
    torch.manual_seed(0)
    config = tiny_config(**changes)
    model = RecognitionModel(config.recognition_config(3))
    if frozen:
        model.freeze_backbone()
    plan = RunPlan(total_steps=10, fixed_statistics=fixed_statistics)
    return RecognitionModule(model, PIXELS, config, RunState(), plan).train()


def feature_batch(size: int, lengths: list[int]) -> FeatureBatch:
    features = torch.randn(len(lengths), max(lengths), size)
    return FeatureBatch(features, torch.tensor(lengths), torch.arange(len(lengths)) % 3)


def frame_batch() -> FrameBatch:
    rng = np.random.default_rng(0)
    shapes = [(4, 36, 48, 3), (6, 40, 36, 3)]
    frames = tuple(torch.from_numpy(rng.integers(0, 256, shape, dtype=np.uint8)) for shape in shapes)
    return FrameBatch(frames, (CENTER_VIEW, View(0.0, 1.0, mirror=True)), torch.tensor([0, 2]))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_is_the_mean_cross_entropy_over_valid_frames(smoothing: float) -> None:
    module = make_module(input_dropout=0.0, output_dropout=0.0, label_smoothing=smoothing)
    batch = feature_batch(module.model.backbone.feature_size, [6, 3, 5])
    loss = module.training_step(batch, 0)

    with torch.no_grad():
        logits = module.model(batch.features).double().numpy()
    log_probs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    losses = []
    for clip, length in enumerate([6, 3, 5]):
        target = np.full(3, smoothing / 3)
        target[clip] += 1 - smoothing
        losses += [-(target * log_probs[clip, t]).sum() for t in range(length)]
    assert loss.item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_padding_changes_neither_loss_nor_gradient() -> None:
    module = make_module(input_dropout=0.0, output_dropout=0.0)
    batch = feature_batch(module.model.backbone.feature_size, [4, 2])
    gradients = []
    for features in (batch.features, torch.cat([batch.features, torch.full((2, 3, batch.features.shape[2]), 9.0)], 1)):
        module.zero_grad()
        module.training_step(batch._replace(features=features), 0).backward()
        gradients.append(module.model.head.lstm.layers[0].weight_hh_l0.grad.clone())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_lost_loss_names_step_and_learning_rate(value: float) -> None:
    module = make_module(lr=0.25, lr_schedule="constant")
    module.state.step = 6
    batch = feature_batch(module.model.backbone.feature_size, [4])
    with pytest.raises(ConfigError, match=r"loss became \w+ at step 7 \(learning rate 0.25\): set a lower lr"):
        module.training_step(batch._replace(features=batch.features * value), 0)


def test_batch_of_broken_videos_is_an_error_in_one_line() -> None:
    batch = FrameBatch((), (), torch.zeros(0, dtype=torch.int64), ("a.avi: cut short", "b.avi: empty"))
    with pytest.raises(DataError, match=r"nothing of a whole batch can be decoded; the first: a\.avi: cut short"):
        make_module().training_step(batch, 0)


def test_frames_of_a_batch_pass_the_cnn_in_one_call() -> None:
    module = make_module().eval()
    calls: list[int] = []
    module.model.backbone.register_forward_hook(lambda module, args, output: calls.append(len(args[0])))
    batch = frame_batch()
    features, lengths = module.encode(batch)
    assert calls == [10]
    assert lengths.tolist() == [4, 6]
    for clip, frames, view in zip(features, batch.frames, batch.views, strict=True):
        alone = module.model.encode(Preprocess(PIXELS)(frames, view))
        torch.testing.assert_close(clip[: len(alone)], alone, rtol=1e-4, atol=1e-5)


def test_gradient_checkpointing_gives_the_same_gradient_and_keeps_less() -> None:
    gradients, kept_bytes = [], []
    for checkpointing in (False, True):
        module = make_module(
            backbone_trainable=True, gradient_checkpointing=checkpointing, input_dropout=0.0, output_dropout=0.0
        )
        saved: dict[int, int] = {}

        def keep(tensor: torch.Tensor, saved: dict[int, int] = saved) -> torch.Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = module.training_step(frame_batch(), 0)
        kept_bytes.append(sum(saved.values()))
        loss.backward()
        gradients.append({name: p.grad for name, p in module.model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert any(name.startswith("backbone.") for name in gradients[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5)
    assert kept_bytes[1] < 0.7 * kept_bytes[0]


def test_gradient_checkpointing_does_not_count_statistics_twice() -> None:
    with pytest.raises(ConfigError, match="batch-norm statistics twice"):
        make_module(backbone_trainable=True, gradient_checkpointing=True, fixed_statistics=False)
    with pytest.raises(ConfigError, match="goes with backbone_trainable"):
        make_module(gradient_checkpointing=True)


def statistics(module: RecognitionModule) -> list[torch.Tensor]:
    norm = next(module for module in module.model.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return [norm.running_mean.clone(), norm.running_var.clone()]


@pytest.mark.parametrize("fixed", [True, False])
def test_pretrained_batch_norm_statistics_stay_and_its_scale_learns(fixed: bool) -> None:
    module = make_module(fixed_statistics=fixed)
    before = statistics(module)
    module.training_step(frame_batch(), 0).backward()
    changed = [not torch.equal(a, b) for a, b in zip(before, statistics(module), strict=True)]
    assert changed == [not fixed, not fixed]
    norm = next(module for module in module.model.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.weight.grad is not None
    assert norm.weight.grad.abs().sum() > 0


def test_gradient_reaches_every_trainable_parameter() -> None:
    module = make_module(input_dropout=0.0, output_dropout=0.0)
    module.training_step(frame_batch(), 0).backward()
    for name, param in module.model.named_parameters():
        if param.requires_grad:
            assert param.grad is not None, name
            assert param.grad.abs().sum() > 0, name


def test_frozen_backbone_gets_no_gradient_and_keeps_its_mode() -> None:
    module = make_module(frozen=True)
    before = statistics(module)
    module.training_step(frame_batch(), 0).backward()
    assert all(param.grad is None for param in module.model.backbone.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, statistics(module), strict=True))


def test_every_batch_and_process_draws_its_own_dropout() -> None:
    seeds = {batch_seed(seed, number, rank) for seed in range(3) for number in range(50) for rank in range(2)}
    assert len(seeds) == 300
    assert batch_seed(1, 2, 0) == batch_seed(1, 2, 0)
