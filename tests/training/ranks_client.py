"""Trains on a folder of clips: `python ranks_client.py CLIPS OUTPUT CACHE SETTINGS`, with settings as JSON.

Lightning, or torchrun, starts it once for each device.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.training.tiny_training import tiny_config

from lrcn.errors import LRCNError
from lrcn.training.fit import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    clips, output, cache, settings = sys.argv[1:]
    config = tiny_config(**{"output_dropout": 0.0, "input_dropout": 0.0, "mirror": False, **json.loads(settings)})
    try:
        train(
            config,
            clips,
            output=output,
            cache_dir=Path(cache),
            resume=True,
            device="cpu",
            quiet=True,
            checkpoint_every_s=0,
        )
    except LRCNError as exc:
        print(exc, file=sys.stderr)
        sys.exit(1)
