"""A process that imports everything once, then trains in a fork for each line it reads: real runs, that can be killed.

A line is JSON: `task`, the `settings` of `tiny_config` or `caption_config`, and the paths `data` (a pickled data set),
`output` and `cache_dir`. The task `search` is a search with the settings `config` and the `recipes`. The answers are
the fork's process id, then its exit status.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import torch
from tests.training.tiny_captions import caption_config
from tests.training.tiny_training import tiny_config, train_quietly

from lrcn.experiments.search import search


def run(order: dict) -> None:
    data = pickle.loads(Path(order["data"]).read_bytes())
    folders = {name: Path(order[name]) for name in ("output", "cache_dir")}
    if order["task"] == "search":
        torch.set_num_threads(1)
        settings = order["settings"]
        where = {**folders, "resume": True, "device": "cpu", "quiet": True}
        search(tiny_config(**settings["config"]), data, recipes=settings["recipes"], **where)
        return
    config = {"recognition": tiny_config, "captioning": caption_config}[order["task"]](**order["settings"])
    train_quietly(config, data, resume=True, checkpoint_every_s=0.02, **folders)


for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            run(json.loads(line))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
