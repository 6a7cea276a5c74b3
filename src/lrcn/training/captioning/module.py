"""The captioning model as Lightning trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from lrcn.config import PreprocessConfig
from lrcn.data.captioning.datasets import CaptionBatch, FrameCaptionBatch, pad_tokens
from lrcn.decoding import Hypothesis, TokenRules, greedy_search, sample
from lrcn.metrics.cider import CIDErScorer
from lrcn.models.captioning import CaptioningModel, caption_loss
from lrcn.models.pooling import valid_steps
from lrcn.text import Vocabulary
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.module import RunPlan, TrainingModule
from lrcn.training.run_state import RunState

_END = Vocabulary.SPECIALS[Vocabulary.EOS]


class Reward:
    """CIDEr-D of generated captions against the training captions, with the end of a sentence as a word of its own.

    Without that word, the model would learn to stop anywhere: half a sentence can score as well as the whole.
    """

    def __init__(self, references: Sequence[Sequence[str]], vocabulary: Vocabulary) -> None:
        """Take the references of each example: tokens with single spaces between."""
        self._scorer = CIDErScorer([[f"{caption} {_END}" for caption in item] for item in references])
        self._vocabulary = vocabulary

    def __call__(self, hypotheses: Sequence[Hypothesis], examples: Sequence[int]) -> Tensor:
        """Return the reward of one hypothesis for each of `examples`, `(B,)` float32."""
        captions = [
            " ".join([*self._vocabulary.decode(hypothesis.token_ids), *([_END] if hypothesis.ended else [])])
            for hypothesis in hypotheses
        ]
        return torch.tensor(self._scorer.score(captions, examples), dtype=torch.float32)


class CaptioningModule(TrainingModule):
    """Teacher forcing (cross-entropy of each next token), or self-critical training on CIDEr-D."""

    model: CaptioningModel

    def __init__(
        self,
        model: CaptioningModel,
        preprocess: PreprocessConfig,
        config: CaptioningTrainingConfig,
        state: RunState,
        plan: RunPlan,
        *,
        rules: TokenRules,
        reward: Reward | None = None,
    ) -> None:
        """Take what is trained.

        Args:
            model: The network.
            preprocess: For batches of frames.
            config: How to train.
            state: Where the run stands.
            plan: How long it is, and what it goes on from.
            rules: Of the captions generated in self-critical training.
            reward: Of self-critical training; without it, teacher forcing.
        """
        super().__init__(model, preprocess, config, state, plan)
        self._loss_weight = config.loss_weight
        self._draws = config.reward_draws
        self._rules = rules
        self._reward = reward

    @property
    def loss_weight(self) -> float:
        """See `TrainingModule`."""
        return self._loss_weight

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; in self-critical training without dropout, so that what is drawn is what learns."""
        super().train(mode)
        if self._reward is not None:
            for module in self.model.modules():
                if isinstance(module, nn.Dropout):
                    module.eval()
        return self

    def loss(self, batch: CaptionBatch | FrameCaptionBatch) -> Tensor:
        """Return the loss of a batch; see `TrainingModule`."""
        context = self._context(batch)
        if self._reward is not None:
            return self._self_critical_loss(context, batch.examples.tolist(), self._reward)
        return caption_loss(self.model, context, batch.tokens, batch.num_tokens)

    def _context(self, batch: CaptionBatch | FrameCaptionBatch) -> Tensor:
        if isinstance(batch, FrameCaptionBatch):
            return self.model.context(*self.encode(batch))
        if batch.features is None:
            return batch.tokens.new_zeros((len(batch.tokens), self.model.context_size), dtype=torch.float32)
        return self.model.context(batch.features, batch.lengths)

    def _self_critical_loss(self, context: Tensor, examples: list[int], reward: Reward) -> Tensor:
        """Policy gradient of drawn captions: the reward of each above the mean of the picture's others.

        With a single draw the greedy caption takes the others' place, as published; with several, the mean has less
        variance than it.

        Source: Rennie et al. 2017, Self-critical sequence training for image captioning (arXiv:1612.00563), eq. 9;
        Luo 2020, A better variant of self-critical sequence training (arXiv:2003.09971).
        """
        step, rules, device, draws = self.model.step, self._rules, context.device, self._draws
        start = self.model.initial_state(context)
        rows = torch.arange(len(context), device=device).repeat_interleave(draws)
        drawn = [
            found[0] for found in sample(step, start.select(rows), batch_size=len(rows), rules=rules, device=device)
        ]
        gained = reward(drawn, [example for example in examples for _ in range(draws)])
        self.state.add("train_cider_d", float(gained.mean()))
        if draws > 1:
            by_picture = gained.view(-1, draws)
            baseline = ((by_picture.sum(dim=1, keepdim=True) - by_picture) / (draws - 1)).flatten()
        else:
            greedy = greedy_search(step, start, batch_size=len(context), rules=rules, device=device)
            baseline = reward([found[0] for found in greedy], examples)
        advantage = (gained - baseline).to(device).unsqueeze(1)

        ends = [[rules.eos_id] if hypothesis.ended else [] for hypothesis in drawn]
        tokens, num_tokens = pad_tokens([[rules.bos_id, *h.token_ids, *e] for h, e in zip(drawn, ends, strict=True)])
        tokens = tokens.to(device)
        targets = tokens[:, 1:]
        valid = valid_steps(num_tokens, targets)
        logits = self.model.logits_at(context.index_select(0, rows), tokens[:, :-1], valid)
        banned = torch.tensor(rules.banned_ids, device=device)
        log_probs = logits.index_fill(1, banned, -torch.inf).log_softmax(dim=-1)
        chosen = log_probs.gather(1, targets[valid].unsqueeze(1)).squeeze(1)
        loss: Tensor = -(advantage.expand_as(targets)[valid] * chosen).mean()
        return loss
