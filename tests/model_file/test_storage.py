from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import lrcn
from lrcn.config import SCHEMA, BackboneConfig, BoutSettings, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.errors import LRCNError, ModelFileError, TaskMismatchError
from lrcn.model_file import MIGRATIONS, header_from_dict, header_to_dict, inspect, load, resolve, save, stated_task
from lrcn.model_file.shipped import SHIPPED
from lrcn.models.recognition import RecognitionModel

on_shared_files = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def some_header(**changes: Any) -> RecognitionHeader:
    fields: dict[str, Any] = {
        "task": "recognition",
        "model": RecognitionConfig(num_classes=2),
        "preprocess": PreprocessConfig(),
        "labels": ("walk", "rückwärts"),
        "provenance": {"scores": {"val": 0.75}, "seed": None, "data_sha256": "ab" * 32},
    }
    return RecognitionHeader(**{**fields, **changes})


def some_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(7, 5, generator=generator),
        "bias": torch.randn(7, generator=generator),
        "num_batches_tracked": torch.tensor(3),
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    save(path, some_header(), some_state())
    return path


def rewritten(path: Path, edit: Any) -> bytes:
    """The file with its entry `lrcn` changed by `edit`, and the digest made right again by the documented rule."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + length])
    fields = json.loads(head["__metadata__"]["lrcn"])
    edit(fields)
    fields["sha256"] = "0" * 64
    head["__metadata__"]["lrcn"] = json.dumps(fields)
    text = json.dumps(head).encode()
    blank = struct.pack("<Q", len(text)) + text + content[8 + length :]
    return blank.replace(b"0" * 64, hashlib.sha256(blank).hexdigest().encode())


def assert_refused(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        inspect(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert ";" in message  # the remedy
    return message


# ---- what is written


def test_digest_is_sha256_of_the_whole_file_with_its_digits_zeroed(saved: Path) -> None:
    content = saved.read_bytes()
    digest = inspect(saved).sha256
    assert content.count(digest.encode()) == 1
    assert hashlib.sha256(content.replace(digest.encode(), b"0" * 64)).hexdigest() == digest


def test_header_comes_back_equal(saved: Path) -> None:
    assert replace(inspect(saved), sha256="") == some_header()


def test_any_safetensors_reader_gets_the_same_tensors(saved: Path) -> None:
    tensors = load_file(saved)
    assert tensors.keys() == some_state().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in some_state().items())


def test_same_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    save(tmp_path / "again.safetensors", some_header(), dict(reversed(some_state().items())))
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_shared_transposed_and_training_tensors_can_be_saved(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    save(tmp_path / "m.safetensors", some_header(), {"a": weight, "b": weight, "c": weight.T, "d": weight[:, 1]})
    tensors = load_file(tmp_path / "m.safetensors")
    assert torch.equal(tensors["c"], torch.arange(6.0).reshape(2, 3).T)
    assert torch.equal(tensors["d"], torch.tensor([1.0, 4.0]))


def test_half_precision_keeps_what_it_cannot_hold(tmp_path: Path) -> None:
    state = {"weight": torch.tensor([0.1, 3.0]), "running_var": torch.tensor([1e6]), "count": torch.tensor(7)}
    save(tmp_path / "m.safetensors", some_header(), state, dtype=torch.float16)
    tensors = load_file(tmp_path / "m.safetensors")
    assert tensors["weight"].dtype is torch.float16
    assert torch.equal(tensors["running_var"], state["running_var"])
    assert torch.equal(tensors["count"], state["count"])


def test_provenance_that_is_no_json_is_refused_and_the_old_file_stays(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved.read_bytes())
    with pytest.raises(ModelFileError, match="provenance must be JSON"):
        save(path, some_header(provenance={"x": object()}), some_state())
    assert path.read_bytes() == saved.read_bytes()


def test_label_that_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        save(tmp_path / "m.safetensors", some_header(labels=("a", "\udcff")), some_state())
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelFileError, match="cannot be written"):
        save(tmp_path / "file" / "m.safetensors", some_header(), some_state())


_SAVE_FOREVER = """
import sys, torch
from pathlib import Path
from tests.model_file.test_storage import some_header
from lrcn.model_file import save
target = Path(sys.argv[1])
for number in range(10**9):
    save(target, some_header(provenance={"number": number}), {"weight": torch.full((250_000,), float(number))})
    if number == 1:
        print("ready", flush=True)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.023])
def test_killed_while_saving_leaves_a_whole_file(tmp_path: Path, delay_s: float) -> None:
    path = tmp_path / "m.safetensors"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", _SAVE_FOREVER, str(path)], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    number = inspect(path).provenance["number"]
    assert torch.equal(load_file(path)["weight"], torch.full((250_000,), float(number)))


# ---- what is refused


@given(data=st.data())
@on_shared_files
def test_any_flipped_bit_is_noticed(saved: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(saved.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    assert_refused(bytes(content), tmp_path / "m.safetensors")


def test_every_flipped_bit_of_the_header_is_noticed(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    for position in range(8 + length):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        assert_refused(bytes(damaged), tmp_path / "m.safetensors")


@given(data=st.data())
@on_shared_files
def test_changed_stretches_are_noticed(saved: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = saved.read_bytes()
    start = data.draw(st.integers(0, len(content) - 1))
    stop = data.draw(st.integers(start, len(content)))
    new = data.draw(st.binary(max_size=64))
    changed = content[:start] + new + content[stop:]
    if changed != content:
        assert_refused(changed, tmp_path / "m.safetensors")


def test_every_truncation_is_noticed(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    for size in {*range(0, len(content), 7), *range(12), len(content) - 1}:
        assert_refused(content[:size], tmp_path / "m.safetensors")


@given(content=st.binary(max_size=200))
@example(b"")
@example(struct.pack("<Q", 2) + b"[]")
@example(struct.pack("<Q", 2**63) + b"{}")
@example(struct.pack("<Q", 2**24) + b"{" * 1000)
@example(b"PK\x03\x04" + bytes(100))
@on_shared_files
def test_random_files_are_refused(tmp_path: Path, content: bytes) -> None:
    assert_refused(content, tmp_path / "m.safetensors")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000, "null", '{"__metadata__": 3}', '{"a": NaN'])
def test_odd_headers_are_refused(tmp_path: Path, text: str) -> None:
    assert_refused(struct.pack("<Q", len(text)) + text.encode(), tmp_path / "m.safetensors")


@pytest.mark.parametrize("entry", ["[" * 100_000, "[]", "{}", '{"sha256": 5}', '{"sha256": "zz"}', "\ud83d"])
def test_odd_entries_are_refused(tmp_path: Path, entry: str) -> None:
    text = json.dumps({"__metadata__": {"lrcn": entry}})
    assert_refused(struct.pack("<Q", len(text)) + text.encode(), tmp_path / "m.safetensors")


def test_header_length_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**33))
        file.truncate(2**34)  # sparse: takes no room
    with pytest.raises(ModelFileError, match=r"not a \.safetensors file"):
        inspect(path)


def test_safetensors_of_another_program_is_named_so(tmp_path: Path) -> None:
    save_file(some_state(), tmp_path / "m.safetensors", metadata={"format": "pt"})
    assert "not of lrcn" in assert_refused((tmp_path / "m.safetensors").read_bytes(), tmp_path / "m.safetensors")


def test_newer_schema_asks_for_an_update(saved: Path, tmp_path: Path) -> None:
    message = assert_refused(rewritten(saved, lambda fields: fields.update(schema=SCHEMA + 1)), tmp_path / "m")
    assert "newer lrcn" in message
    assert "pip install --upgrade lrcn" in message


@pytest.mark.parametrize("where", [(), ("model",), ("model", "backbone"), ("preprocess",)])
def test_unknown_field_is_named(saved: Path, tmp_path: Path, where: tuple[str, ...]) -> None:
    def add_field(fields: dict[str, Any]) -> None:
        for name in where:
            fields = fields[name]
        fields["colour_space"] = "bt709"

    message = assert_refused(rewritten(saved, add_field), tmp_path / "m")
    assert f"unknown field '{'.'.join([*where, 'colour_space'])}'" in message


def _bout_fields(**changes: Any) -> dict[str, Any]:
    pairs = ("thresholds", "low_thresholds", "shortest_s", "longest_gap_s")
    return {"smooth_s": 0.4, "lag_s": 0.1, **{name: [0.5, 0.5] for name in pairs}, **changes}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda f: f.pop("labels"), "labels"),
        (lambda f: f["model"].update(hidden_size="256"), "model.hidden_size"),
        (lambda f: f["preprocess"].update(resize=[1, 2, 3]), "preprocess.resize"),
        (lambda f: f["preprocess"].update(crop=10_000), "crop"),
        (lambda f: f["model"].update(num_layers=100_000), "num_layers must be 1 to 64"),
        (lambda f: f["preprocess"].update(sample_fps=1e300), "sample_fps must be above 0 and at most 1000"),
        (lambda f: f["preprocess"].update(clip_length=2**62), "clip_length must be 1 to 65536"),
        (lambda f: f["preprocess"].update(mean=[1.0, float("nan"), 1.0]), "preprocess.mean"),
        (lambda f: f.update(labels=["a", "a"]), "labels"),
        (lambda f: f.update(schema="1"), "schema"),
        (lambda f: f.update(bouts=_bout_fields(thresholds=[0.5] * 3)), "one class each"),
        (lambda f: f.update(bouts=_bout_fields(low_thresholds=[0.7, 0.2])), "0 <= low <= high <= 1"),
        (lambda f: f.update(bouts=_bout_fields(smooth_s=-1.0)), "smooth_s"),
        (
            lambda f: f.update(bouts={name: v[:1] if isinstance(v, list) else v for name, v in _bout_fields().items()}),
            "one entry a class",
        ),
        (lambda f: f.pop("schema"), "schema"),
        (lambda f: f.update(schema=0), "schema 0"),
    ],
)
def test_wrong_field_is_named(saved: Path, tmp_path: Path, change: Any, named: str) -> None:
    (tmp_path / "m").write_bytes(rewritten(saved, change))
    with pytest.raises(ModelFileError, match=re.escape(named)) as caught:
        inspect(tmp_path / "m")
    assert str(caught.value).startswith(str(tmp_path / "m"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [2**16, 2**31, 2**62, 10**30])
@pytest.mark.parametrize("name", ["hidden_size", "embedding_size", "num_classes"])
def test_a_network_larger_than_its_weights_is_not_built(tiny_model: Path, tmp_path: Path, name: str, size: int) -> None:
    """The digest is right, as whoever writes such a file makes it."""
    (tmp_path / "m.safetensors").write_bytes(rewritten(tiny_model, lambda fields: fields["model"].update({name: size})))
    with pytest.raises(ModelFileError) as caught:
        load(tmp_path / "m.safetensors")
    assert len(str(caught.value).splitlines()) == 1


def test_a_backbone_cut_early_may_be_larger_than_its_weights(tmp_path: Path) -> None:
    config = RecognitionConfig(
        backbone=BackboneConfig(name="alexnet", layer="features.0"), num_classes=2, hidden_size=4
    )  # of 244 MB, 0.1 MB are kept
    network = RecognitionModel(config)
    save(tmp_path / "m.safetensors", some_header(model=config), network.state_dict())
    assert (tmp_path / "m.safetensors").stat().st_size < 2**20
    load(tmp_path / "m.safetensors")


def test_other_task_names_the_command_to_use(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(rewritten(saved, lambda fields: fields.update(task="captioning")))
    with pytest.raises(TaskMismatchError, match=r"m\.safetensors is a captioning model; use: lrcn caption$"):
        load(path)


# ---- header to dictionary and back

_floats = st.floats(0.0, 300.0)
_sizes = st.integers(112, 400)
_triples = st.tuples(_floats, _floats, _floats)
_json = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _floats | st.text(), st.lists)
_preprocess = st.builds(
    PreprocessConfig,
    sample_fps=st.none() | st.floats(0.1, 100.0),
    resize=_sizes | st.tuples(_sizes, _sizes),
    mean=_triples,
    channel_order=st.sampled_from(["rgb", "bgr"]),
)


@given(
    preprocess=_preprocess,
    head=st.sampled_from(["lstm", "frame", "mean"]),
    layer=st.text(max_size=9),
    labels=st.lists(st.text(), min_size=1, max_size=4, unique=True),
    provenance=st.dictionaries(st.text(), _json, max_size=3),
    seconds=st.none() | st.floats(0.0, 1.0),
)
@settings(deadline=None)
def test_header_round_trip_through_json_is_exact(
    preprocess: PreprocessConfig,
    head: Any,
    layer: str,
    labels: list[str],
    provenance: dict[str, Any],
    seconds: float | None,
) -> None:
    model = RecognitionConfig(backbone=BackboneConfig(layer=layer), num_classes=len(labels), head=head)
    bouts = None
    if seconds is not None:
        each = (seconds,) * len(labels)
        bouts = BoutSettings(
            smooth_s=seconds, thresholds=each, low_thresholds=each, shortest_s=each, longest_gap_s=each, lag_s=seconds
        )
    header = some_header(model=model, preprocess=preprocess, labels=tuple(labels), provenance=provenance, bouts=bouts)
    again = header_from_dict(json.loads(json.dumps(header_to_dict(header))), source="x")
    assert again == header
    assert repr(again) == repr(header)  # 1 == 1.0 == True


def test_older_headers_are_brought_up_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    older = header_to_dict(some_header())
    older["schema"] = SCHEMA - 2
    older["classes"] = older.pop("labels")

    def rename(fields: dict[str, Any]) -> dict[str, Any]:
        fields["names"] = fields.pop("classes")
        return fields

    monkeypatch.setitem(MIGRATIONS, SCHEMA - 2, rename)
    monkeypatch.setitem(
        MIGRATIONS, SCHEMA - 1, lambda f: {**{k: f[k] for k in f if k != "names"}, "labels": f["names"]}
    )
    assert header_from_dict(older, source="x") == some_header()
    assert older["schema"] == SCHEMA - 2
    assert "classes" in older


# ---- resolve and load


def test_a_model_that_is_loaded_is_hashed_once(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[object] = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: (hashed.append(args), digest(*args))[1])
    assert lrcn.load(tiny_model, device="cpu").labels == ("walk", "wave", "jump")
    assert len(hashed) == 1


def test_the_stated_task_of_a_damaged_file_is_no_task_unheard_of(saved: Path, tmp_path: Path) -> None:
    assert stated_task(saved) == "recognition"
    content = saved.read_bytes()
    path = tmp_path / "model.safetensors"
    path.write_bytes(content.replace(b"recognition", b"recognisers", 1))
    with pytest.raises(ModelFileError, match="damaged"):
        stated_task(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert stated_task(path) == "recognition"
    with pytest.raises(ModelFileError, match="damaged"):
        lrcn.load(path, device="cpu")


def test_resolve_takes_files_folders_and_the_names_of_shipped_models(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(saved.read_bytes())
    assert resolve(saved) == saved
    assert resolve(str(tmp_path)) == tmp_path / "model.safetensors"
    assets = Path(__file__).parents[2] / "src/lrcn/assets"
    for name in SHIPPED:
        assert resolve(name) == assets / f"{name}.safetensors"


@pytest.mark.parametrize("name", ["nowhere.safetensors", "", "a" * 5000, "a\0b", "."])
def test_missing_models_are_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError) as caught:
        resolve(name)
    assert "\n" not in str(caught.value)


def test_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="no such model file"):
        inspect(tmp_path / "pipe")


def test_model_reloads_bit_equal(tiny_model: Path, tmp_path: Path) -> None:
    header, network = load(tiny_model)
    save(tmp_path / "m.safetensors", header, network.state_dict())
    header_again, again = load(tmp_path / "m.safetensors")
    assert header_again == header
    assert not again.training
    state, state_again = network.state_dict(), again.state_dict()
    assert state.keys() == state_again.keys()
    assert all(torch.equal(state[name], state_again[name]) for name in state)
    features = torch.randn(2, 5, network.backbone.feature_size)
    assert torch.equal(network.eval().clip_probs(features), again.clip_probs(features))


def test_half_precision_file_loads_as_float32(tiny_model: Path, tmp_path: Path) -> None:
    header, network = load(tiny_model)
    save(tmp_path / "m.safetensors", header, network.state_dict(), dtype=torch.float16)
    _, again = load(tmp_path / "m.safetensors")
    for name, tensor in again.state_dict().items():
        expected = network.state_dict()[name]
        assert tensor.dtype is expected.dtype
        assert torch.equal(tensor, expected.half().to(expected.dtype))


def test_network_does_not_depend_on_the_file_after_loading(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(tiny_model.read_bytes())
    _, network = load(path)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    path.write_bytes(bytes(path.stat().st_size))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_loading_leaves_the_random_numbers_alone(tiny_model: Path) -> None:
    before = torch.get_rng_state()
    load(tiny_model)
    assert torch.equal(torch.get_rng_state(), before)


def test_model_is_put_on_the_device(tiny_model: Path) -> None:
    _, network = load(tiny_model, device="meta")
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda state: state.pop("classifier.bias"), "classifier.bias is missing"),
        (lambda state: state.update(extra=torch.zeros(1)), "extra is not expected"),
        (
            lambda state: state.update({"classifier.bias": torch.zeros(9)}),
            r"classifier.bias is \(9,\), expected \(3,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(tiny_model: Path, tmp_path: Path, edit: Any, complaint: str) -> None:
    header, network = load(tiny_model)
    state = dict(network.state_dict())
    edit(state)
    save(tmp_path / "m.safetensors", header, state)
    with pytest.raises(ModelFileError, match=complaint):
        load(tmp_path / "m.safetensors")


def test_tensor_table_that_contradicts_the_file_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    content = tiny_model.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + length])
    next(value for name, value in head.items() if name != "__metadata__")["data_offsets"] = [0, 10**15]
    text = json.dumps(head).encode()
    (tmp_path / "m").write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    (tmp_path / "m").write_bytes(rewritten(tmp_path / "m", lambda fields: None))
    inspect(tmp_path / "m")  # its digest is right
    with pytest.raises(ModelFileError, match="its weights cannot be read"):
        load(tmp_path / "m")


def test_backbone_that_does_not_exist_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    content = rewritten(tiny_model, lambda fields: fields["model"]["backbone"].update(name="alexnt", sizes={}))
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(LRCNError, match="unknown backbone 'alexnt'"):
        load(tmp_path / "m")


def test_every_parameter_of_a_network_built_for_loading_comes_from_the_file(tmp_path: Path) -> None:
    config = RecognitionConfig(backbone=BackboneConfig(name="shufflenet_v2_x0_5"), num_classes=2, hidden_size=4)
    network = RecognitionModel(config).eval()
    save(tmp_path / "m.safetensors", some_header(model=config), network.state_dict())
    _, again = load(tmp_path / "m.safetensors")
    frames = torch.randn(1, 3, 64, 64)
    assert torch.equal(network.encode(frames), again.encode(frames))


def test_inspecting_imports_no_torch(saved: Path) -> None:
    program = "import sys, lrcn.model_file as m; m.inspect(sys.argv[1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program, str(saved)]).returncode == 0
