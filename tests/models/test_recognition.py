"""The recognition model: heads, readouts, padding, and where gradients go."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import BackboneConfig, RecognitionConfig
from lrcn.errors import ShapeError
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES
from lrcn.models.heads import LSTMHead, frame_loss
from lrcn.models.recognition import RecognitionModel

HEADS = ["lstm", "frame", "mean"]
READOUTS = ["mean", "last"]


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())


@pytest.fixture(autouse=True)
def _small_backbone() -> Iterator[None]:
    BACKBONES["small"] = BackboneSpec(build=small_network, preprocess={"crop": 16})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    del BACKBONES["small"]


def make(head: str = "lstm", readout: str = "mean", **options: object) -> RecognitionModel:
    torch.manual_seed(0)
    config = RecognitionConfig(
        backbone=BackboneConfig(name="small"), num_classes=4, head=head, readout=readout, hidden_size=5
    )
    model = RecognitionModel(replace(config, **options))
    for parameter in model.parameters():
        parameter.data *= 3
    return model.eval()


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_lstm_head_is_an_lstm_over_the_features_and_a_linear_classifier() -> None:
    model = make()
    features = torch.randn(3, 7, 6)
    reference = nn.LSTM(6, 5, batch_first=True)
    reference.load_state_dict(model.head.lstm.layers[0].state_dict())
    expected = reference(features)[0] @ model.head.classifier.weight.T + model.head.classifier.bias
    torch.testing.assert_close(model(features), expected)


@pytest.mark.parametrize("memories", [(0.0,), (0.9,), (0.0, 0.7)])
@pytest.mark.parametrize("embedding_size", [None, 3])
def test_the_change_is_that_against_running_averages_of_the_frames_before(
    memories: tuple[float, ...], embedding_size: int | None
) -> None:
    model, features = make(change_memory=memories, embedding_size=embedding_size), torch.randn(3, 7, 6)
    values = features.numpy()
    if model.head.embedding is not None:
        weights = {name: value.numpy() for name, value in model.head.embedding.state_dict().items()}
        values = values @ weights["weight"].T + weights["bias"]
    parts = [values]
    for memory in memories:
        change, average = np.zeros_like(values), values[:, 0]
        for step in range(1, 7):
            change[:, step] = values[:, step] - average
            average = memory * average + (1 - memory) * values[:, step]
        parts.append(change)
    joined = torch.from_numpy(np.concatenate(parts, axis=2))
    reference = nn.LSTM(joined.shape[2], 5, batch_first=True)
    reference.load_state_dict(model.head.lstm.layers[0].state_dict())
    expected = reference(joined)[0] @ model.head.classifier.weight.T + model.head.classifier.bias
    torch.testing.assert_close(model(features), expected)


@pytest.mark.parametrize("mask", ["clip", "frame"])
def test_a_mask_for_the_clip_drops_the_same_values_in_all_its_frames(mask: str) -> None:
    model = make(dropout_mask=mask, input_dropout=0.5, output_dropout=0.5, change_memory=(0.0,)).train()
    seen: dict[str, Tensor] = {}
    model.head.lstm.register_forward_pre_hook(lambda _, arguments: seen.update(feature=arguments[0]))
    model.head.classifier.register_forward_pre_hook(lambda _, arguments: seen.update(last=arguments[0]))
    model(torch.ones(64, 9, 6))
    for dropped in (seen["feature"][..., :6] == 0, seen["last"] == 0):
        assert 0.4 < dropped.float().mean().item() < 0.6
        assert (dropped == dropped[:, :1]).all().item() == (mask == "clip")
        assert not (dropped == dropped[:1]).all()  # clips differ in any case
    assert (seen["feature"][..., 6:] == 0).all().item() == (mask == "clip")  # still frames do not seem to move


def test_the_frame_head_looks_at_each_frame_alone() -> None:
    model, features = make("frame"), torch.randn(3, 7, 6)
    torch.testing.assert_close(model(features), features @ model.head.classifier.weight.T + model.head.classifier.bias)


def test_the_mean_head_classifies_the_mean_of_the_valid_frames() -> None:
    model, features, lengths = make("mean"), torch.randn(3, 7, 6), torch.tensor([7, 1, 4])
    means = torch.stack([features[i, :length].mean(dim=0) for i, length in enumerate(lengths)])
    expected = means @ model.head.classifier.weight.T + model.head.classifier.bias
    logits = model(features, lengths)
    assert logits.shape == (3, 1, 4)
    torch.testing.assert_close(logits[:, 0], expected)


def test_only_the_lstm_head_notices_the_order_of_frames() -> None:
    features = torch.randn(3, 7, 6)
    for head in HEADS:
        model = make(head)
        same = torch.allclose(model.clip_probs(features), model.clip_probs(features.flip(1)), atol=1e-5)
        assert same == (head != "lstm")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("lengths", [None, [7, 1, 4]])
def test_clip_probabilities_follow_their_definition(head: str, readout: str, lengths: list[int] | None) -> None:
    model, features = make(head, readout), torch.randn(3, 7, 6)
    given_lengths = None if lengths is None else torch.tensor(lengths)
    with torch.inference_mode():
        frame_probs = softmax(model(features, given_lengths).double().numpy())
        actual = model.clip_probs(features, given_lengths)
    for i, length in enumerate(lengths or [7] * 3):
        valid = frame_probs[i, :length]  # the mean head has one row whatever the length
        expected = valid.mean(axis=0) if readout == "mean" else valid[-1]
        np.testing.assert_allclose(actual[i], expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    head=st.sampled_from(HEADS),
    readout=st.sampled_from(READOUTS),
    lengths=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    padding=st.sampled_from([0.0, -50.0, float("inf"), float("nan")]),
    extra=st.integers(0, 3),
)
def test_padding_changes_neither_predictions_nor_loss(
    head: str, readout: str, lengths: list[int], padding: float, extra: int
) -> None:
    model, targets = make(head, readout), torch.tensor([0, 3, 1])
    clips = [torch.randn(length, 6) for length in lengths]
    batch = torch.full((3, max(lengths) + extra, 6), padding)
    for i, clip in enumerate(clips):
        batch[i, : len(clip)] = clip
    with torch.inference_mode():
        alone = [model(clip[None]) for clip in clips]
        losses = torch.cat(
            [F.cross_entropy(x[0], targets[i].expand(x.shape[1]), reduction="none") for i, x in enumerate(alone)]
        )
        given_lengths = torch.tensor(lengths)
        probs = torch.cat([model.clip_probs(clip[None]) for clip in clips])
        torch.testing.assert_close(model.clip_probs(batch, given_lengths), probs, rtol=1e-5, atol=1e-6)
        loss = frame_loss(model(batch, given_lengths), targets, given_lengths)
        torch.testing.assert_close(loss, losses.mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_the_order_of_clips_in_a_batch_changes_nothing(head: str) -> None:
    model, order = make(head), torch.tensor([2, 0, 1])
    features, lengths, targets = torch.randn(3, 7, 6), torch.tensor([7, 2, 4]), torch.tensor([0, 3, 1])
    with torch.inference_mode():
        probs = model.clip_probs(features, lengths)
        loss = frame_loss(model(features, lengths), targets, lengths)
        torch.testing.assert_close(model.clip_probs(features[order], lengths[order]), probs[order])
        permuted = frame_loss(model(features[order], lengths[order]), targets[order], lengths[order])
        torch.testing.assert_close(permuted, loss)


def test_padding_gets_no_gradient() -> None:
    model, lengths = make(), torch.tensor([7, 2, 4])
    features = torch.randn(3, 7, 6, requires_grad=True)
    frame_loss(model(features, lengths), torch.tensor([0, 3, 1]), lengths).backward()
    for i, length in enumerate(lengths):
        assert features.grad[i, :length].abs().sum(dim=1).min() > 0
        assert not features.grad[i, length:].any()


def test_label_smoothing_spreads_the_target_over_all_classes() -> None:
    logits, targets, lengths = torch.randn(2, 3, 4), torch.tensor([1, 2]), torch.tensor([3, 1])
    log_probs = np.log(softmax(logits.double().numpy()))
    frames = [(0, 0), (0, 1), (0, 2), (1, 0)]
    spread = {i: 0.1 / 4 + 0.9 * np.eye(4)[targets[i]] for i in (0, 1)}
    expected = np.mean([-(spread[i] * log_probs[i, t]).sum() for i, t in frames])
    assert frame_loss(logits, targets, lengths, label_smoothing=0.1).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("frozen", [False, True])
def test_gradient_reaches_every_trainable_parameter_and_no_frozen_one(head: str, frozen: bool) -> None:
    model = make(head, num_layers=2)
    if frozen:
        model.freeze_backbone()
    model.train()
    before = deepcopy(model.state_dict())
    lengths, targets = torch.tensor([4, 2]), torch.tensor([0, 3])
    features = model.encode(torch.randn(8, 3, 16, 16)).unflatten(0, (2, 4))
    frame_loss(model(features, lengths), targets, lengths).backward()
    torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01).step()
    for name, parameter in model.named_parameters():
        second_bias = "bias_hh" in name
        if second_bias or (frozen and name.startswith("backbone.")):
            assert parameter.grad is None, name
        else:
            assert parameter.grad.abs().sum() > 0, name
    for name, value in model.state_dict().items():
        if name.startswith("backbone."):
            assert torch.equal(value, before[name]) == frozen, name


@pytest.mark.parametrize("head", HEADS)
def test_dropout_acts_on_the_feature_and_before_the_classifier_in_training_only(head: str) -> None:
    features = torch.ones(1, 200, 6)
    model = make(head, input_dropout=0.0, output_dropout=0.0)
    torch.testing.assert_close(model.train()(features), model.eval()(features))

    seen: dict[str, Tensor] = {}
    model = make(head, input_dropout=0.9, output_dropout=0.5, dropout_mask="frame")
    reader = model.head.lstm if isinstance(model.head, LSTMHead) else model.head.classifier
    reader.register_forward_pre_hook(lambda _, arguments: seen.update(feature=arguments[0]))
    model.head.classifier.register_forward_pre_hook(lambda _, arguments: seen.update(last=arguments[0]))
    model.train()(features.repeat(40, 1, 1))
    assert (seen["feature"] == 0).float().mean().item() == pytest.approx(0.9, abs=0.1)
    assert (seen["last"] == 0).float().mean().item() == pytest.approx(0.5 if head == "lstm" else 0.9, abs=0.1)
    model.eval()(features)
    assert not (seen["feature"] == 0).any()


@pytest.mark.parametrize("head", HEADS)
def test_automatic_mixed_precision_trains_every_parameter(head: str) -> None:
    model, lengths = make(head).train(), torch.tensor([4, 2])
    with torch.autocast("cpu", torch.bfloat16):
        features = model.encode(torch.randn(8, 3, 16, 16)).unflatten(0, (2, 4))
        frame_loss(model(features, lengths), torch.tensor([0, 3]), lengths).backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


def test_half_precision_logits_give_float32_probabilities() -> None:
    model = make().to(torch.bfloat16)
    probs = model.clip_probs(torch.randn(3, 7, 6, dtype=torch.bfloat16), torch.tensor([7, 2, 4]))
    assert probs.dtype == torch.float32
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(3), rtol=0, atol=1e-5)


def test_non_contiguous_features_give_the_same_answer() -> None:
    model, features = make(), torch.randn(7, 3, 6)
    torch.testing.assert_close(model(features.transpose(0, 1)), model(features.transpose(0, 1).contiguous()))


@pytest.mark.parametrize(("backbone", "head"), [("efficientnet_lite0", "lstm"), ("small", "frame"), ("small", "mean")])
def test_the_whole_model_stays_on_the_meta_device(backbone: str, head: str) -> None:
    with torch.device("meta"):
        model = RecognitionModel(
            RecognitionConfig(backbone=BackboneConfig(name=backbone), num_classes=4, head=head, readout="last")
        )
    frames, lengths = torch.empty(6, 3, 112, 112, device="meta"), torch.ones(2, dtype=torch.int64, device="meta")
    features = model.encode(frames).unflatten(0, (2, 3))
    loss = frame_loss(model(features, lengths), torch.zeros(2, dtype=torch.int64, device="meta"), lengths)
    loss.backward()
    assert {tensor.device.type for tensor in (*model.state_dict().values(), loss)} == {"meta"}
    assert model.clip_probs(features, lengths).device.type == "meta"


@pytest.mark.parametrize("shape", [(3, 6), (3, 7, 5), (3, 0, 6)])
def test_features_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"features must be \(clips, frames, 6\)"):
        make()(torch.zeros(shape))


def test_names_in_the_state_dict_read_well() -> None:
    names = [name for name in make(num_layers=2).state_dict() if not name.startswith("backbone.trunk.")]
    gates = [f"lstm.layers.{i}.{part}_l0" for i in (0, 1) for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    assert names == [*gates, "classifier.weight", "classifier.bias"]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"change_memory": (0.0, 0.9)}, {"head": "frame"}])
def test_stepping_frame_by_frame_matches_the_whole_clip(options: dict[str, Any]) -> None:
    model = make(**options).eval()
    features = torch.randn(2, 7, model.backbone.feature_size)
    expected = model(features)
    state, seen = model.initial_state(2), []
    for t in range(7):
        logits, state = model.step(features[:, t], state)
        seen.append(logits)
    torch.testing.assert_close(torch.stack(seen, dim=1), expected, rtol=1e-5, atol=1e-5)


def test_stepping_a_mean_head_gives_the_mean_so_far() -> None:
    model = make(head="mean").eval()
    features = torch.randn(2, 5, model.backbone.feature_size)
    state = model.initial_state(2)
    for t in range(5):
        logits, state = model.step(features[:, t], state)
        torch.testing.assert_close(logits, model(features[:, : t + 1])[:, 0], rtol=1e-5, atol=1e-5)


def test_step_refuses_features_of_another_size() -> None:
    model = make()
    with pytest.raises(ShapeError, match="features of a step"):
        model.step(torch.randn(2, 3), model.initial_state(2))
