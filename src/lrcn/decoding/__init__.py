"""Turn a step function into token sequences: greedy, beam search, sampling. Knows no model.

A step function takes the last token of N sequences and a state for them, and returns log probabilities of the next
token `(N, V)`, which the search may overwrite, and the state after it. Whatever the state is, its `select(index)` must
return the state of the sequences `index`, in that order; an index may be left out or repeated.

On temperatures: here probabilities are softmax(logits / temperature), so a temperature below 1 sharpens. The paper and
its code multiply instead: their T = 1.5 is a temperature of 1 / 1.5 here.
"""

from lrcn.decoding.beam import beam_search
from lrcn.decoding.common import Hypothesis, Selectable, Step, TokenRules
from lrcn.decoding.sampling import greedy_search, sample

__all__ = ["Hypothesis", "Selectable", "Step", "TokenRules", "beam_search", "greedy_search", "sample"]
