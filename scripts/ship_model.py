"""Turn a training run into the model that ships in the package: float16, with its licence and how good it is.

lrcn data build mocap-actions mocap
lrcn train recognition mocap --config configs/recognition/mocap_actions.yaml --seed 0 --output runs/demo
lrcn evaluate runs/demo mocap --output runs/demo/report
python scripts/ship_model.py runs/demo
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from lrcn import model_file

TARGET = Path(__file__).parent.parent / "src" / "lrcn" / "assets" / "demo.safetensors"


def main(run: Path) -> None:
    """Write the asset."""
    header, model = model_file.load(run / "model.safetensors")
    report = json.loads((run / "report" / "report.json").read_text())
    provenance = {
        **header.provenance,
        "name": "LRCN on MocapActions-14",
        "licence": "Apache-2.0; backbone: ImageNet weights of EfficientNet-Lite0, Apache-2.0 (see NOTICE)",
        "command": "lrcn train recognition mocap --config configs/recognition/mocap_actions.yaml --seed "
        f"{header.provenance['seed']}",
        "test": {name: report[name] for name in ("num_videos", "top1", "top1_interval", "mean_class_accuracy")},
    }
    sha256 = model_file.save(TARGET, replace(header, provenance=provenance), model.state_dict(), dtype=torch.float16)
    print(TARGET, TARGET.stat().st_size, sha256)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
