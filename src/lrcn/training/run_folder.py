"""The folder of a training run: what is in it, and whether a run may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lrcn.errors import ConfigError
from lrcn.files import parse_json, write_json, write_text
from lrcn.training.config import TrainingConfig, changed_fields

MODEL_FILE = "model.safetensors"
"""The model of the best epoch."""
CHECKPOINT_FILE = "last.ckpt"
"""Where to go on from; for `--resume` only."""
CONFIG_FILE = "config.yaml"
"""All settings; can be used as `--config`."""
HISTORY_FILE = "history.csv"
"""One row an epoch."""
RUN_FILE = "run.json"
"""Where the run comes from: command, versions, data, result."""
SEARCH_FOLDER = "search"
"""The scores of the recipes that a search has tried, to go on from."""


class RunFolder:
    """A folder that holds one run."""

    def __init__(self, path: Path) -> None:
        """Take the folder, made when something is written to it."""
        self.path = path
        self.model = path / MODEL_FILE
        self.checkpoint = path / CHECKPOINT_FILE
        self.history = path / HISTORY_FILE
        self.run_file = path / RUN_FILE
        self.search = path / SEARCH_FOLDER

    def check_new(self) -> None:
        """Make sure that the folder holds no run; `ConfigError` if it does."""
        for name in (CONFIG_FILE, RUN_FILE, CHECKPOINT_FILE, MODEL_FILE, SEARCH_FOLDER):
            if (self.path / name).exists():
                raise ConfigError(
                    f"{self.path} holds a training run already ({name}): use --resume to go on with it, "
                    "or another --output"
                )

    def check_same(self, config: TrainingConfig) -> None:
        """Make sure that the run in this folder was started with these settings, resolved.

        Raises:
            ConfigError: If not; the message names what differs.
        """
        try:
            saved = yaml.safe_load((self.path / CONFIG_FILE).read_text(encoding="utf-8"))
            changed = changed_fields(saved, config)
        except (OSError, ValueError, AttributeError, yaml.YAMLError) as exc:
            raise ConfigError(f"{self.path / CONFIG_FILE}: missing or damaged; train in another --output") from exc
        if changed:
            raise ConfigError(
                f"{self.path} was started with other settings: {', '.join(changed)}; leave them out, or train in "
                "another --output"
            )

    def check_same_data(self, run: dict[str, Any]) -> None:
        """Make sure that the run in this folder had the same examples and backbone; `ConfigError` if not."""
        saved = self.read_run()
        for part, name in (("data", "fingerprint"), ("backbone", "sha256")):
            if saved.get(part, {}).get(name) != run[part][name]:
                raise ConfigError(f"{self.path} was started with another {part}; train in another --output")

    def read_run(self) -> dict[str, Any]:
        """Return what `write_run` wrote; `ConfigError` if it is missing or damaged."""
        try:
            return dict(parse_json(self.run_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as exc:
            raise ConfigError(f"{self.run_file}: missing or damaged; train in another --output") from exc

    def start(self, config: TrainingConfig, run: dict[str, Any]) -> None:
        """Write down the settings and where the run comes from; remove what a killed run left half-written."""
        self.tidy()
        settings = yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
        write_text(self.path / CONFIG_FILE, settings)
        self.write_run(run)

    def check_there(self) -> None:
        """Make sure that nobody took the settings away, without which no run can go on; `ConfigError` if so."""
        if not (self.path / CONFIG_FILE).is_file():
            raise ConfigError(
                f"{self.path / CONFIG_FILE} is gone, without which the run cannot go on; keep hands and clean-up "
                "programs off the folder of a run, and train in another --output"
            )

    def tidy(self) -> None:
        """Remove what a killed run left half-written."""
        for name in (CHECKPOINT_FILE, MODEL_FILE, RUN_FILE, CONFIG_FILE, HISTORY_FILE):
            for unfinished in self.path.glob(f".{Path(name).stem}-*{Path(name).suffix}"):  # see `replacing`
                unfinished.unlink()

    def write_run(self, run: dict[str, Any]) -> None:
        """Write down where the run comes from and how it went."""
        write_json(self.run_file, run, indent=2)
