"""Turn a training run into a model that ships in the package: float16, with its licence and how good it is.

python -m lrcn_sets mocap-actions mocap
lrcn train recognition mocap --config configs/recognition/mocap_actions.yaml --seed 0 --output runs/demo
lrcn evaluate runs/demo mocap --output runs/demo/report
python scripts/ship_model.py demo runs/demo

python -m lrcn_sets emoji-scenes emoji --train-images 32000 --fetch
lrcn train captioning emoji --config configs/captioning/emoji_scenes.yaml --output runs/words
lrcn train captioning emoji --config configs/captioning/emoji_scenes_2.yaml --init-from runs/words --output runs/emoji
lrcn evaluate runs/emoji emoji --output runs/emoji/report
python scripts/ship_model.py emoji runs/emoji

lrcn train captioning flickr8k --config configs/captioning/photos.yaml --output runs/photos
lrcn evaluate runs/photos flickr8k --output runs/photos/report
python scripts/ship_model.py photos runs/photos
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from lrcn import model_file
from lrcn.config import ModelHeader
from lrcn.model_file.shipped import DEMO, EMOJI, PHOTOS, SHIPPED, shipped_path, without_backbone

BACKBONE_LICENCE = "backbone: ImageNet weights of EfficientNet-Lite0, Apache-2.0 (see NOTICE)"


CAPTIONERS = {
    PHOTOS: {
        "name": "LRCN on photographs with sentences",
        "licence": "weights: Apache-2.0 as far as they are ours to license; learnt from Flickr8k, whose makers allow "
        "non-commercial research and education; no photograph and no sentence of it is in the file; "
        + BACKBONE_LICENCE,
        "command": "lrcn train captioning flickr8k --config configs/captioning/photos.yaml",
    },
    EMOJI: {
        "name": "LRCN on pictures composed of two emoji",
        "licence": "Apache-2.0; trained on pictures of Noto Color Emoji, SIL Open Font License 1.1; "
        + BACKBONE_LICENCE,
        "command": "lrcn train captioning emoji --config configs/captioning/emoji_scenes_2.yaml --init-from WORDS",
    },
}
"""What the files of captioning models say about themselves."""


def main(name: str, run: Path) -> None:
    """Write the asset."""
    report = json.loads((run / "report" / "report.json").read_text())
    if name == DEMO:
        header, model = model_file.load(run)
        about = {
            "name": "LRCN on MocapActions-14",
            "licence": f"Apache-2.0; {BACKBONE_LICENCE}",
            "command": "lrcn train recognition mocap --config configs/recognition/mocap_actions.yaml --seed "
            f"{header.provenance['seed']}",
            "test": {key: report[key] for key in ("num_videos", "top1", "top1_interval", "mean_class_accuracy")},
        }
        save(name, replace(header, provenance=header.provenance | about), model.state_dict())
    elif name in CAPTIONERS:
        captioning, captioner = model_file.load(run, task="captioning")
        about = {**CAPTIONERS[name], "test": {"num_examples": report["num_examples"], **report["scores"]}}
        whole = replace(captioning, provenance=captioning.provenance | about)
        save(name, *without_backbone(whole, captioner.state_dict()))
    else:
        raise SystemExit(f"no shipped model is called {name!r}; names: {', '.join(SHIPPED)}")


def save(name: str, header: ModelHeader, state: dict[str, torch.Tensor]) -> None:
    """Write it as float16."""
    target = shipped_path(name)
    sha256 = model_file.save(target, header, state, dtype=torch.float16)
    print(target, target.stat().st_size, sha256)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
