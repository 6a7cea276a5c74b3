from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.tiny_training import tiny_config
from torch import nn

from lrcn.models.recognition import RecognitionModel
from lrcn.training.optimizers import CaffeSGD, lr_at, make_optimizer, parameter_groups, set_lr
from lrcn.training.recognition.config import RecognitionTrainingConfig

RELEASED = {"optimizer": "sgd", "weight_decay": 0.005, "head_lr_multiplier": 10.0, "bias_lr_multiplier": 2.0}


def make_model(*, frozen: bool = False, **changes: Any) -> RecognitionModel:
    torch.manual_seed(0)
    model = RecognitionModel(tiny_config(**changes).recognition_config(3))
    if frozen:
        model.freeze_backbone()
    return model


def run(optimizer: torch.optim.Optimizer, weight: nn.Parameter, gradients: np.ndarray, lrs: list[float]) -> np.ndarray:
    path = []
    for gradient, lr in zip(gradients, lrs, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = lr
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(weight.detach().numpy().copy())
    return np.stack(path)


def caffe(start: np.ndarray, gradients: np.ndarray, lrs: list[float], momentum: float, decay: float) -> np.ndarray:
    """SGDSolver of Caffe: Regularize (L2), then ComputeUpdateValue, then Update."""
    weight, history, path = start.copy(), np.zeros_like(start), []
    for gradient, lr in zip(gradients, lrs, strict=True):
        diff = gradient + decay * weight
        history = momentum * history + lr * diff
        weight = weight - history
        path.append(weight.copy())
    return np.stack(path)


LRS = [0.1] * 5 + [0.01] * 5
GRADIENTS = np.random.default_rng(0).normal(size=(10, 4, 3))
START = np.random.default_rng(1).normal(size=(4, 3))


def test_sgd_is_caffes_through_a_drop_of_the_learning_rate() -> None:
    weight = nn.Parameter(torch.tensor(START))
    optimizer = CaffeSGD([{"params": [weight]}], lr=0.1, momentum=0.9, weight_decay=0.005)
    found = run(optimizer, weight, GRADIENTS, LRS)
    np.testing.assert_allclose(found, caffe(START, GRADIENTS, LRS, 0.9, 0.005), rtol=1e-12)


def test_sgd_is_torchs_until_the_learning_rate_drops() -> None:
    ours, theirs = (nn.Parameter(torch.tensor(START)) for _ in range(2))
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.005}
    found = run(CaffeSGD([{"params": [ours]}], **settings), ours, GRADIENTS, LRS)
    torchs = run(torch.optim.SGD([theirs], **settings), theirs, GRADIENTS, LRS)
    np.testing.assert_allclose(found[:5], torchs[:5], rtol=1e-12)
    # after it, Caffe's momentum is still that of the large steps
    assert np.abs(found[5] - torchs[5]).max() > 0.1 * np.abs(torchs[5] - torchs[4]).max()


def test_sgd_resumes_from_its_state() -> None:
    weight = nn.Parameter(torch.tensor(START))
    optimizer = CaffeSGD([{"params": [weight]}], lr=0.1, momentum=0.9, weight_decay=0.005)
    run(optimizer, weight, GRADIENTS[:5], LRS[:5])
    state = copy.deepcopy(optimizer.state_dict())
    again = nn.Parameter(weight.detach().clone())
    resumed = CaffeSGD([{"params": [again]}], lr=0.1, momentum=0.9, weight_decay=0.005)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(
        run(resumed, again, GRADIENTS[5:], LRS[5:]), run(optimizer, weight, GRADIENTS[5:], LRS[5:])
    )


def test_released_multipliers_reach_the_right_parameters() -> None:
    model = make_model()
    names = {id(param): name for name, param in model.named_parameters()}
    found = {
        names[id(param)]: (group["multiplier"], group["weight_decay"])
        for group in parameter_groups(model, tiny_config(**RELEASED))
        for param in group["params"]
    }
    convolutions = [name for name, param in model.named_parameters() if name.startswith("backbone") and param.ndim == 4]
    assert len(convolutions) == 2
    for name in convolutions:
        assert found[name] == (1.0, 0.005)
        assert found[name.replace("weight", "bias")] == (2.0, 0.0)
    assert found["head.classifier.weight"] == (10.0, 0.005)
    assert found["head.classifier.bias"] == (20.0, 0.0)
    assert {value for name, value in found.items() if name.startswith("head.lstm.")} == {(1.0, 0.005)}
    assert "head.lstm.layers.0.bias_ih_l0" in found


@pytest.mark.parametrize("frozen", [True, False])
def test_optimiser_holds_every_trainable_parameter_once_and_no_frozen_one(frozen: bool) -> None:
    model = make_model(frozen=frozen)
    held = [id(param) for group in make_optimizer(model, tiny_config()).param_groups for param in group["params"]]
    trainable = {id(param) for param in model.parameters() if param.requires_grad}
    assert len(held) == len(set(held))
    assert set(held) == trainable
    assert frozen == (not any(id(param) in trainable for param in model.backbone.parameters()))


def test_learning_rate_of_each_group_is_its_multiple() -> None:
    optimizer = make_optimizer(make_model(), tiny_config(**RELEASED))
    set_lr(optimizer, 0.5)
    assert {(group["multiplier"], group["lr"]) for group in optimizer.param_groups} == {
        (1.0, 0.5),
        (2.0, 1.0),
        (10.0, 5.0),
        (20.0, 10.0),
    }


def test_step_schedule_drops_every_lr_step() -> None:
    config = RecognitionTrainingConfig(lr=0.001, lr_schedule="step", lr_step=3000, lr_gamma=0.1)
    steps = (0, 2999, 3000, 5999, 6000)
    assert [lr_at(step, config, 9000) for step in steps] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_cosine_schedule_rises_then_falls_to_nothing() -> None:
    config = RecognitionTrainingConfig(lr=0.4)
    lrs = [lr_at(step, config, 200) for step in range(200)]
    assert lrs[:10] == pytest.approx([0.04 * (step + 1) for step in range(10)])
    assert max(lrs) == pytest.approx(0.4)
    assert all(later < earlier for earlier, later in itertools.pairwise(lrs[10:]))
    assert lrs[105] == pytest.approx(0.2)
    assert 0 < lrs[-1] < 1e-4


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_single_step_has_a_learning_rate(schedule: Any) -> None:
    assert lr_at(0, RecognitionTrainingConfig(lr=0.1, lr_schedule=schedule), 1) == pytest.approx(0.1)


def test_the_fused_adamw_does_what_the_plain_one_does() -> None:
    plain = nn.Parameter(torch.tensor(START))
    expected = torch.optim.AdamW([plain], lr=0.1, weight_decay=0.01)
    config = tiny_config(optimizer="adamw", lr=0.1, weight_decay=0.01)

    class OneWeight(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(START))
            self.backbone = None

        def classifier_parameters(self) -> list[nn.Parameter]:
            return []

    model = OneWeight()
    optimizer = make_optimizer(model, config)
    assert optimizer.defaults["fused"]
    np.testing.assert_allclose(
        run(optimizer, model.weight, GRADIENTS, LRS), run(expected, plain, GRADIENTS, LRS), rtol=1e-9
    )


def test_float16_keeps_the_plain_adamw_whose_gradients_can_be_clipped() -> None:
    optimizer = make_optimizer(make_model(), tiny_config(optimizer="adamw", precision="16-mixed"))
    assert not getattr(optimizer, "_step_supports_amp_scaling", False)
