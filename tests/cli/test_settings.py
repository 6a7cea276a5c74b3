from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lrcn.cli import main
from lrcn.cli.settings import read_settings
from lrcn.errors import ConfigError
from lrcn.training.recognition.config import RecognitionTrainingConfig

DEFAULTS = RecognitionTrainingConfig().to_dict()
FILE = """
# everything that differs from the defaults
lr: 1e-4
resize: [240, 320]
crop: 227
sample_fps: null
optimizer: sgd
mirror: false
"""


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    assert main(["train", "recognition", *map(str, arguments), "--print-config"]) == 0
    settings: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(FILE)
    return path


def test_without_a_file_and_flags_the_defaults_stand(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys) == DEFAULTS


def test_file_overrides_the_defaults_only_where_it_says_so(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    changed = {"lr": 1e-4, "resize": [240, 320], "crop": 227, "sample_fps": None, "optimizer": "sgd", "mirror": False}
    assert printed(capsys, "--config", file) == {**DEFAULTS, **changed}


@pytest.mark.parametrize("flags_first", [True, False])
def test_flags_override_the_file(capsys: pytest.CaptureFixture[str], file: Path, flags_first: bool) -> None:
    flags = ["--lr", "0.5", "--mirror", "--resize", "300,400", "--sample-fps", "25", "--epochs", "3"]
    config = ["--config", str(file)]
    settings = printed(capsys, *(flags + config if flags_first else config + flags))
    changed = {"lr": 0.5, "mirror": True, "resize": [300, 400], "sample_fps": 25.0, "epochs": 3}
    assert settings == {**DEFAULTS, "crop": 227, "optimizer": "sgd", **changed}


def test_flag_that_repeats_a_default_still_overrides_the_file(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    settings = printed(capsys, "--config", file, "--lr", str(DEFAULTS["lr"]), "--optimizer", "adamw", "--mirror")
    assert (settings["lr"], settings["optimizer"], settings["mirror"]) == (DEFAULTS["lr"], "adamw", True)


def test_flag_can_set_null(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    settings = printed(capsys, "--config", file, "--resize", "null", "--clip-norm", "none")
    assert (settings["resize"], settings["clip_norm"]) == (None, None)


def test_printed_settings_are_a_file_that_gives_them_again(
    capsys: pytest.CaptureFixture[str], file: Path, tmp_path: Path
) -> None:
    first = printed(capsys, "--config", file, "--views", "2")
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(first))
    assert printed(capsys, "--config", again) == first


def test_settings_are_checked_together_when_all_are_known(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("resize: 256\n")
    assert printed(capsys, "--config", path, "--crop", "224")["crop"] == 224  # wrong beside any smaller resize
    assert main(["train", "recognition", "--config", str(path), "--crop", "300", "--print-config"]) == 2
    assert "crop must be between 1 and the resized short side (256), got 300" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_empty_file_changes_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(text)
    assert read_settings(path, RecognitionTrainingConfig) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("epochs: 3\nhiden_size: 5\n", "line 2: unknown setting 'hiden_size'; did you mean 'hidden_size'?"),
        ("head-lr-multiplier: 5\n", "line 1: unknown setting 'head-lr-multiplier'; did you mean 'head_lr_multiplier'?"),
        ("zzz: 1\n", "line 1: unknown setting 'zzz'; lrcn train recognition --print-config shows all"),
        ("lr: fast\n", "line 1: lr: Input should be a valid number, got 'fast'"),
        ("lr: true\n", "line 1: lr: Input should be a valid number, got True"),
        ("epochs: 2.5\n", "line 1: epochs: Input should be a valid integer, got 2.5"),
        ("optimizer: adamm\n", "line 1: optimizer: Input should be 'adamw' or 'sgd', got 'adamm'"),
        ("layer: 5\n", "line 1: layer: Input should be a valid string, got 5"),
        ("lr: 1\nlr: 2\n", "line 2: 'lr' stands in the file twice"),
        ("- lr\n", "line 1: expected settings, one `name: value` a line"),
        ("{[a]: 1}\n", "line 1: expected settings"),
        ("lr: [1\n", "line 2: no YAML"),
        ("lr: !!python/object/apply:os.getcwd []\n", "line 1: no YAML"),
        ("lr: *nowhere\n", "line 1: no YAML"),
        ("\x00", "no YAML"),
    ],
)
def test_bad_file_is_one_line_that_names_file_and_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings(path, RecognitionTrainingConfig)
    message = str(caught.value)
    assert message.startswith(f"{path}")
    assert complaint in message
    assert "\n" not in message


def test_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"layer: \xff\n")
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "directory"), (latin, "UTF-8")):
        with pytest.raises(ConfigError, match=reason):
            read_settings(path, RecognitionTrainingConfig)


def test_numbers_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text("lr: 1e-3\nweight_decay: 5E-4\nmomentum: 0\nclip_norm: 1_0.5\n")
    assert read_settings(path, RecognitionTrainingConfig) == {
        "lr": 1e-3,
        "weight_decay": 5e-4,
        "momentum": 0.0,
        "clip_norm": 10.5,
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: &a [x, x, x]\nb: &b [*a, *a]\nlr: *b\n", "names for values are not read"),
        ("lr: 1e400\n", "lr: expected a number that is finite, got inf"),
        ("lr: .nan\n", "lr: expected a number that is finite, got nan"),
        ("lr: !!timestamp x\n", "no YAML"),
        ("lr: !!binary 8\n", "no YAML"),
        ("seed: " + "9" * 5000 + "\n", "no YAML"),
        ("lr: " + "[" * 3000 + "\n", "no YAML"),
        ("lr: 2024-13-45\n", "no YAML"),
        ("? [a, b]\n: 1\n", "expected settings"),
        ('lr: "' + "x" * 2000 + '"\n', "lr"),
        ("#" + "x" * 2**20 + "\n", "larger than 1048576 bytes"),
    ],
)
def test_hostile_settings_are_one_short_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_settings(path, RecognitionTrainingConfig)
    message = str(caught.value).replace(str(tmp_path), "")
    assert complaint in message
    assert "\n" not in message
    assert len(message) <= 300
