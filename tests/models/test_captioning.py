"""CaptioningModel against NumPy's equations, against itself step by step, and under the searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lrcn.config import VARIANTS, BackboneConfig, CaptioningConfig
from lrcn.decoding import TokenRules, beam_search, greedy_search
from lrcn.errors import ConfigError, ShapeError
from lrcn.models.captioning import CaptioningModel, caption_loss

SIZES: dict[str, Any] = {"backbone": None, "vector_size": 5, "vocabulary_size": 11, "embedding_size": 4}
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}
RULES = TokenRules(bos_id=1, eos_id=2, banned_ids=(0, 1, 3), max_length=6)


def make(variant: str = "2f", *, dtype: torch.dtype = torch.float32, **changes: Any) -> CaptioningModel:
    torch.manual_seed(0)
    model = CaptioningModel(CaptioningConfig(**{**SIZES, "hidden_size": 6, "variant": variant, **changes})).to(dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias_hh" not in name:
                parameter.normal_()  # weights small enough to hide a wrong gate prove nothing
    return model.eval()


def some_tokens(*shape: int) -> Tensor:
    return torch.randint(11, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("context", ["mean", "lstm"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_stepping_matches_teacher_forcing(variant: str, context: str) -> None:
    model = make(variant, context=context, projection_size=3)
    tokens, vector = some_tokens(4, 7), model.context(torch.randn(4, 3, 5))
    expected = model(vector, tokens).log_softmax(-1)
    state = model.initial_state(vector)
    for t in range(7):
        log_probs, state = model.step(tokens[:, t], state)
        torch.testing.assert_close(log_probs, expected[:, t], **TOLERANCE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_numpy_equations_give_the_same_logits(variant: str) -> None:
    model = make(variant, dtype=torch.float64, projection_size=3)
    features, tokens = torch.randn(2, 4, 5, dtype=torch.float64), some_tokens(2, 6)
    found = model(model.context(features), tokens).detach().numpy()

    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    context = features.numpy().mean(axis=1) @ weights["projection.weight"].T + weights["projection.bias"]

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    joined_layer = {"1u": 0, "2u": 0, "2f": 1}[variant]
    num_layers = int(variant[0])
    h, c = np.zeros((num_layers, 2, 6)), np.zeros((num_layers, 2, 6))
    for t in range(6):
        x = weights["embedding.weight"][tokens[:, t].numpy()]
        for layer in range(num_layers):
            if layer == joined_layer:
                x = np.concatenate([x, context], axis=1)
            part = f"lstm.layers.{layer}."
            gates = x @ weights[part + "weight_ih_l0"].T + h[layer] @ weights[part + "weight_hh_l0"].T
            i, f, g, o = np.split(gates + weights[part + "bias_ih_l0"], 4, axis=1)
            c[layer] = sigmoid(f) * c[layer] + sigmoid(i) * np.tanh(g)
            x = h[layer] = sigmoid(o) * np.tanh(c[layer])
        logits = x @ weights["classifier.weight"].T + weights["classifier.bias"]
        np.testing.assert_allclose(found[:, t], logits, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("context", ["mean", "lstm"])
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), order_seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_padding_and_order_of_the_batch_change_nothing(context: str, lengths: list[int], order_seed: int) -> None:
    model = make(context=context, projection_size=3)
    generator = torch.Generator().manual_seed(order_seed)
    clips = [torch.randn(length, 5, generator=generator) for length in lengths]
    alone = torch.cat([model.context(clip.unsqueeze(0)) for clip in clips])
    order = torch.randperm(len(clips), generator=generator)
    padded = torch.full((len(clips), 6, 5), torch.nan)
    for row, index in enumerate(order.tolist()):
        padded[row, : lengths[index]] = clips[index]
    together = model.context(padded, torch.tensor(lengths)[order])
    torch.testing.assert_close(together, alone[order], **TOLERANCE)


def test_what_stands_to_the_right_changes_no_logit_and_no_loss() -> None:
    model = make()
    context, tokens = torch.randn(3, 5), some_tokens(3, 8)
    lengths = torch.tensor([7, 2, 4])
    other = tokens.clone()
    for row, length in enumerate(lengths.tolist()):
        other[row, length + 1 :] = (other[row, length + 1 :] + 5) % 11
    logits, other_logits = model(context, tokens[:, :-1]), model(context, other[:, :-1])
    torch.testing.assert_close(other_logits[1, :3], logits[1, :3])
    loss = caption_loss(model, context, tokens, lengths)
    torch.testing.assert_close(caption_loss(model, context, other, lengths), loss)

    log_probs = logits.log_softmax(-1).detach().numpy()
    by_hand = [-log_probs[b, t, tokens[b, t + 1]] for b in range(3) for t in range(int(lengths[b]))]
    assert loss.item() == pytest.approx(np.mean(by_hand), rel=1e-6)


def test_one_frame_is_its_own_mean() -> None:
    features = torch.randn(4, 1, 5)
    torch.testing.assert_close(make().context(features), features[:, 0])


def test_lstm_context_sees_the_order_of_frames_and_the_mean_does_not() -> None:
    features = torch.randn(1, 4, 5)
    for context, same in (("mean", True), ("lstm", False)):
        model = make(context=context)
        assert torch.allclose(model.context(features), model.context(features.flip(1)), atol=1e-6) == same


@pytest.mark.parametrize("context", ["mean", "lstm"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_reach_everything_that_is_trained(variant: str, context: str) -> None:
    model = make(variant, context=context, projection_size=3).train()
    caption_loss(model, model.context(torch.randn(3, 4, 5)), some_tokens(3, 7), torch.tensor([6, 1, 3])).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
    assert [name for name, p in model.named_parameters() if not p.requires_grad and "bias_hh" not in name] == []


def test_gradient_of_the_loss_is_numerically_right() -> None:
    model = make(dtype=torch.float64)
    tokens, lengths = some_tokens(2, 5), torch.tensor([4, 2])
    context = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: caption_loss(model, c, tokens, lengths), (context,))


def test_searches_keep_each_sentence_with_its_context() -> None:
    model = make()
    contexts = 3 * torch.randn(5, 5)
    together = greedy_search(model.step, model.initial_state(contexts), batch_size=5, rules=RULES)
    beams = beam_search(model.step, model.initial_state(contexts), batch_size=5, rules=RULES, beam_size=3)
    assert len({hypotheses[0].token_ids for hypotheses in together}) > 1
    for row in range(5):
        own = model.initial_state(contexts[row : row + 1])
        alone = greedy_search(model.step, own, batch_size=1, rules=RULES)[0][0]
        assert together[row][0].token_ids == alone.token_ids
        alone_beam = beam_search(model.step, own, batch_size=1, rules=RULES, beam_size=3)[0][0]
        assert beams[row][0].token_ids == alone_beam.token_ids
        assert beams[row][0].log_prob >= together[row][0].log_prob - 1e-6
        tokens = torch.tensor([[RULES.bos_id, *alone.token_ids]])
        forced = model(contexts[row : row + 1], tokens).log_softmax(-1)[0].detach()
        said = [*alone.token_ids, *([RULES.eos_id] if alone.ended else [])]
        expected = sum(float(forced[t, token]) for t, token in enumerate(said))
        assert alone.log_prob == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("context", ["mean", "lstm"])
def test_normalised_features_forget_their_scale(context: str) -> None:
    features = torch.randn(2, 3, 5)
    raw, normed = make(context=context, projection_size=3), make(context=context, projection_size=3, feature_norm=True)
    values = features.double().numpy()
    by_hand = (values - values.mean(-1, keepdims=True)) / np.sqrt(values.var(-1, keepdims=True) + 1e-5)
    expected = raw.context(torch.from_numpy(by_hand).float())
    torch.testing.assert_close(normed.context(features), expected, **TOLERANCE)
    torch.testing.assert_close(normed.context(50 * features + 7), normed.context(features), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(raw.context(50 * features + 7), raw.context(features), atol=1e-3)


def test_dropout_is_for_training_only() -> None:
    model = make(feature_dropout=0.5, embedding_dropout=0.5, output_dropout=0.5)
    features, tokens = torch.randn(2, 3, 5), some_tokens(2, 4)
    assert torch.equal(model(model.context(features), tokens), model(model.context(features), tokens))
    model.train()
    assert not torch.equal(model.context(features), model.context(features))
    context = torch.randn(2, 5)
    assert not torch.equal(model(context, tokens), model(context, tokens))


@pytest.mark.parametrize(("hidden_size", "bound"), [(400, 0.08), (25, 0.2)])
def test_weights_start_as_in_the_release(hidden_size: int, bound: float) -> None:
    model = CaptioningModel(CaptioningConfig(**SIZES, hidden_size=hidden_size, context="lstm", projection_size=30))
    for name, parameter in model.named_parameters():
        if name.startswith("projection."):
            continue
        if parameter.dim() == 1:
            assert not parameter.any(), name
        else:
            assert 0.85 * bound < parameter.abs().max() <= bound, name


def test_a_backbone_of_its_own() -> None:
    sizes = {"conv1": 4, "conv2": 4, "conv3": 4, "conv4": 4, "conv5": 4, "fc6": 8, "fc7": 8, "input_px": 67}
    config = CaptioningConfig(
        backbone=BackboneConfig(name="caffenet", layer="fc7", sizes=sizes), vocabulary_size=11, hidden_size=6
    )
    model = CaptioningModel(config)
    assert (model.feature_size, model.context_size) == (8, 8)
    features = model.encode(torch.randn(2, 3, 67, 67))
    assert model(model.context(features.unsqueeze(1)), some_tokens(2, 3)).shape == (2, 3, 11)
    model.freeze_backbone()
    assert model.backbone is not None
    assert model.backbone.frozen


def test_without_a_backbone_there_is_nothing_to_encode_frames_with() -> None:
    with pytest.raises(ConfigError, match="no backbone: it reads ready vectors"):
        make().encode(torch.zeros(1, 3, 8, 8))


def test_wrong_shapes_are_named() -> None:
    model = make()
    for features in (torch.zeros(2, 5), torch.zeros(2, 0, 5), torch.zeros(2, 3, 4)):
        with pytest.raises(ShapeError, match=r"features must be \(videos, frames, 5\)"):
            model.context(features)
    with pytest.raises(ShapeError, match="tokens must be"):
        model(torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ShapeError, match="context must be"):
        model(torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vector_size": None}, "vector_size goes with a null backbone"),
        ({"backbone": BackboneConfig()}, "vector_size goes with a null backbone"),
        ({"variant": "3f"}, "variant must be one of 1u, 2u, 2f"),
        ({"vocabulary_size": 4}, "vocabulary_size must be above 4"),
        ({"hidden_size": 0}, "hidden_size must be at least 1"),
        ({"projection_size": -1}, "projection_size must be at least 0"),
        ({"output_dropout": 1.0}, r"output_dropout must be in \[0, 1\)"),
    ],
)
def test_impossible_configurations_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CaptioningConfig(**{**SIZES, **changes})


def test_loss_of_a_uniform_model_is_the_log_of_the_vocabulary() -> None:
    model = make()
    for parameter in model.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    loss = caption_loss(model, torch.randn(2, 5), some_tokens(2, 4), torch.tensor([3, 1]))
    assert loss.item() == pytest.approx(np.log(11))
