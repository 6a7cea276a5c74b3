"""The decoder that searches use, against the model's own steps and against the model's own searches."""

from __future__ import annotations

import pytest
import torch

from lrcn.config import VARIANTS, CaptioningConfig
from lrcn.decoding import beam_search, greedy_search, sample
from lrcn.inference.captioning.search import caption_rules
from lrcn.models.caption_decoder import TorchCaptionDecoder
from lrcn.models.captioning import CaptioningModel

RULES = caption_rules(max_length=9)


def make(variant: str, context: str = "mean", dtype: torch.dtype = torch.float32) -> CaptioningModel:
    torch.manual_seed(0)
    model = CaptioningModel(
        CaptioningConfig(
            backbone=None, vector_size=5, vocabulary_size=27, embedding_size=4, hidden_size=6, projection_size=3,
            variant=variant, context=context, output_dropout=0.5,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias_hh" not in name:
                parameter.normal_()
    return model.to(dtype).eval()


@pytest.mark.parametrize("laid_out", [True, False])
@pytest.mark.parametrize("context", ["mean", "lstm"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_step_is_that_of_the_model(
    variant: str, context: str, laid_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: laid_out)
    model = make(variant, context)
    decoder = TorchCaptionDecoder(model)
    for size in (1, 3, 16):
        contexts = model.context(torch.randn(size, 2, 5)).detach()
        state, expected_state = decoder.initial_state(contexts), model.initial_state(contexts)
        for _ in range(6):
            tokens, rows = torch.randint(27, (size,)), torch.randint(size, (size,))
            found, state = decoder.step(tokens, state)
            expected, expected_state = model.step(tokens, expected_state)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
            state, expected_state = state.select(rows), expected_state.select(rows)
        torch.testing.assert_close(torch.stack(state.hidden), expected_state.lstm.hidden, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.stack(state.cell), expected_state.lstm.cell, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_searches_say_what_they_say_over_the_model(variant: str) -> None:
    model = make(variant, dtype=torch.float64)
    decoder, contexts = TorchCaptionDecoder(model), 3 * torch.randn(12, 3, dtype=torch.float64)
    for search, options in (
        (greedy_search, {}),
        (beam_search, {"beam_size": 4, "num_captions": 4, "length_penalty": 0.5}),
        (sample, {"num_samples": 3, "num_captions": 3}),
    ):
        said = []
        for step, state in (
            (decoder.step, decoder.initial_state(contexts)),
            (model.step, model.initial_state(contexts)),
        ):
            if search is sample:
                options["generator"] = torch.Generator().manual_seed(4)
            said.append(search(step, state, batch_size=12, rules=RULES, **options))
        ours, expected = said
        assert [[h.token_ids for h in one] for one in ours] == [[h.token_ids for h in one] for one in expected]
        assert [h.log_prob for one in ours for h in one] == pytest.approx([h.log_prob for one in expected for h in one])
