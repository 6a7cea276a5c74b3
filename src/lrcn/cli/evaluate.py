"""`lrcn evaluate`."""

from __future__ import annotations

from lrcn.cli.evaluation_flags import EVALUATION_FLAGS, Evaluation
from lrcn.cli.options import Data, Model
from lrcn.cli.outputs import check_outputs
from lrcn.tasks import TASKS


def evaluate(model: Model, data: Data, /, *, flags: Evaluation = EVALUATION_FLAGS) -> int:
    """Measure how good a model is on a data set.

    Every video goes through the same code as in `lrcn recognize` or `lrcn caption`, so the numbers are those that users
    will see; nothing is taken from the training cache, but for the baseline of captions. What cannot be read counts in
    no score; it is listed, and the exit code is then 3. On annotated long recordings bouts are scored, as in `lrcn
    recognize --bouts`, against those of the annotator.
    """
    from lrcn.inference.loading import task_of

    check_outputs(folders=[("--output", flags.output)])
    return TASKS[task_of(model)].evaluate_command()(model, data, flags)
