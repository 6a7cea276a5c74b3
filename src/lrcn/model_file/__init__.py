"""The model file: one `.safetensors` that holds the weights and everything needed to use them.

Its metadata entry `lrcn` is JSON: `{schema, task, model, preprocess, labels | vocabulary, provenance, sha256}`. The
digest covers the whole file with its own 64 digits set to zero, so that a flipped bit anywhere is noticed.
"""

from lrcn.model_file.header import MIGRATIONS, header_from_dict, header_to_dict
from lrcn.model_file.pretrained import from_pretrained, push_to_hub, save_pretrained
from lrcn.model_file.storage import inspect, load, resolve, save, stated_task

__all__ = [
    "MIGRATIONS",
    "from_pretrained",
    "header_from_dict",
    "header_to_dict",
    "inspect",
    "load",
    "push_to_hub",
    "resolve",
    "save",
    "save_pretrained",
    "stated_task",
]
