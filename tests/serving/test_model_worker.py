from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from lrcn.serving.jobs import Answer, Job, Upload
from lrcn.serving.metrics import Metrics
from lrcn.serving.model_worker import ModelWorker
from lrcn.serving.refusals import Refusal
from lrcn.serving.settings import served_models

SETTINGS: dict[str, Any] = {
    **dict.fromkeys(("clip_stride", "end_s", "roi", "unknown_below", "threshold", "smooth_s", "shortest_s")),
    **{"longest_gap_s": None, "top_k": 5, "start_s": 0.0, "crops": 1, "bouts": False},
}


class Ends(ModelWorker):
    """Ends its process as soon as that is given a job called `poison`."""

    def _hand(self, life: Any, pending: Any) -> None:
        super()._hand(life, pending)
        if pending.job.uploads[0].name == "poison":
            os.kill(life.process.pid, signal.SIGKILL)


def test_a_job_that_ends_its_process_costs_itself_and_no_other(tiny_model: Path, clip20: Path) -> None:
    async def ask() -> list[Answer | BaseException]:
        (served,) = served_models([tiny_model], device="cpu")
        model = Ends(served, max_queue=8, metrics=Metrics().of_model("tiny"))
        model.start()
        names = ["a", "poison", "b", "c", "d", "e"]
        jobs = [Job(kind="recognize", settings=SETTINGS, uploads=(Upload(clip20, name),)) for name in names]
        try:
            answers = await asyncio.gather(*map(model.run, jobs), return_exceptions=True)
            assert model.restarts == 2
            assert (model.state()["in_work"], model.state()["waiting"]) == (0, 0)
            return answers
        finally:
            await model.close()
            assert model._process is None

    first, poison, *others = asyncio.run(ask())
    assert isinstance(poison, Refusal)
    assert (poison.status, "so did the next" in poison.message) == (500, True)
    for answer in (first, *others):
        assert isinstance(answer, Answer), answer
        assert answer.status == 200
