"""Every runtime against torch in fp32, and against the network called directly."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lrcn.config import BackboneConfig, RecognitionHeader
from lrcn.devices import has_native_bf16, lacks_vnni
from lrcn.errors import ConfigError, LRCNError, MissingExtraError, ModelFileError, ShapeError, UnknownNameError
from lrcn.graphs.conversion import write_graphs
from lrcn.graphs.exported import DESCRIPTION, ExportedModel, read_exported
from lrcn.graphs.sessions import open_session, openvino_has_bf16
from lrcn.inference import runtimes as choose
from lrcn.inference.parity import LIMITS, FeatureCheck, FeatureParityCheck, real_images
from lrcn.inference.recognition.graph_runtime import GraphRuntime, open_exported
from lrcn.inference.recognition.parity import Parity, ParityCheck
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.runtime import Runtime
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.inference.runtimes import Kept
from lrcn.models.recognition import RecognitionModel
from lrcn.video.transforms import Preprocess
from lrcn.video.views import CENTER_VIEW, TEN_CROP_VIEWS

for package in ("onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package)

Tiny = tuple[RecognitionHeader, RecognitionModel]
FRAMES = np.random.default_rng(0).integers(0, 256, (5, 72, 90, 3), dtype=np.uint8)


def clip_probs(runtime: Runtime, features: np.ndarray) -> np.ndarray:
    """Return what a runtime says about clips of features `(B, T, D)`."""
    embedded = runtime.embed(features.reshape(-1, features.shape[2]))
    return runtime.clip_probs(embedded.reshape(*features.shape[:2], -1))


@pytest.fixture(params=["torch", "onnxruntime", "openvino", "openvino of onnx"])
def runtime(request: pytest.FixtureRequest, tiny: Tiny, exported: dict[str, Any]) -> Runtime:
    header, model = tiny
    made: dict[str, Any] = {
        "torch": lambda: TorchRuntime(model, header.preprocess),
        "onnxruntime": lambda: GraphRuntime(exported["onnx"]),
        "openvino": lambda: GraphRuntime(exported["openvino"]),
        "openvino of onnx": lambda: GraphRuntime(exported["onnx"], engine="openvino"),
    }
    return made[request.param]()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_features_are_those_of_the_backbone_called_directly(runtime: Runtime, tiny: Tiny, size: int) -> None:
    header, model = tiny
    for view in (CENTER_VIEW, TEN_CROP_VIEWS[6]):
        with torch.no_grad():
            expected = model.encode(Preprocess(header.preprocess)(FRAMES[:size], view)).numpy()
        np.testing.assert_allclose(runtime.encode(FRAMES[:size], view), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [4, 1, 3])  # the model's windows hold 4 frames
def test_clip_probabilities_are_those_of_the_network(runtime: Runtime, tiny: Tiny, length: int) -> None:
    features = np.random.default_rng(1).normal(size=(3, length, 8)).astype(np.float32)
    with torch.no_grad():
        expected = tiny[1].clip_probs(torch.from_numpy(features)).numpy()
    assert np.ptp(expected, axis=0).max() > 0.01  # or the test could not fail
    np.testing.assert_allclose(clip_probs(runtime, features), expected, atol=1e-5)


def test_clips_longer_than_the_graph_are_refused(exported: dict[str, Any]) -> None:
    runtime = GraphRuntime(exported["onnx"])
    embedded = runtime.embed(np.zeros((5, 8), np.float32))
    with pytest.raises(ShapeError, match="have 4 frames at most, got 5"):
        runtime.clip_probs(embedded[None])


def test_steps_are_those_of_one_causal_run(runtime: Runtime, tiny: Tiny) -> None:
    features = np.random.default_rng(2).normal(size=(2, 6, 8)).astype(np.float32)
    with torch.no_grad():
        expected = tiny[1](torch.from_numpy(features)).softmax(-1).numpy()
    state = runtime.initial_state(2)
    for t in range(6):
        before = {name: part.copy() for name, part in state.items()}
        probs, after = runtime.step(features[:, t], state)
        np.testing.assert_allclose(probs, expected[:, t], atol=1e-5)
        for name, part in before.items():
            np.testing.assert_array_equal(state[name], part)  # passed, not kept
        state = after


@pytest.mark.parametrize("options", [{"head": "mean"}, {"change_memory": (0.0, 0.9), "num_layers": 2}])
def test_other_heads_export_too(tiny: Tiny, tmp_path: Path, options: dict[str, Any]) -> None:
    header, model = tiny
    header = replace(header, model=replace(header.model, readout="last", **options))
    torch.manual_seed(3)
    other = RecognitionModel(header.model).eval()
    other.backbone.load_state_dict(model.backbone.state_dict())
    graphs = GraphRuntime(write_graphs(header, other, tmp_path, "onnx"))
    reference = TorchRuntime(other, header.preprocess)
    parity = ParityCheck(reference, header.preprocess).measure(graphs)
    assert parity.passed, parity
    features = np.random.default_rng(1).normal(size=(2, 3, 8)).astype(np.float32)
    np.testing.assert_allclose(clip_probs(graphs, features), clip_probs(reference, features), atol=1e-5)


# --- parity -------------------------------------------------------------------------------------------------------


def test_parity_notices_other_weights(tiny: Tiny, exported: dict[str, Any]) -> None:
    header, model = tiny
    graphs = GraphRuntime(exported["onnx"])
    assert ParityCheck(TorchRuntime(model, header.preprocess), header.preprocess).measure(graphs).passed
    other = RecognitionModel(header.model).eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other.head.classifier.bias[0] += 0.01
    parity = ParityCheck(TorchRuntime(other, header.preprocess), header.preprocess).measure(graphs)
    assert parity.feature_error <= LIMITS["fp32"].feature
    assert parity.prob_error > LIMITS["fp32"].prob
    assert not parity.passed


def test_parity_of_features_notices_another_backbone(tiny: Tiny, exported: dict[str, Any]) -> None:
    header, model = tiny
    graphs = GraphRuntime(exported["onnx"])
    other = RecognitionModel(header.model).eval()
    other.load_state_dict(model.state_dict())
    for network, same in ((model, True), (other, False)):
        with torch.no_grad():
            for parameter in other.backbone.parameters():
                parameter.mul_(1.01)
        reference = TorchRuntime(network, header.preprocess)
        assert FeatureParityCheck(FeatureCheck(reference, header.preprocess)).measure(graphs).passed is same


def test_parity_of_answers_that_are_no_numbers_fails(tiny: Tiny) -> None:
    header, model = tiny

    class Broken(TorchRuntime):
        def encode(self, images: np.ndarray, view: Any) -> np.ndarray:
            return super().encode(images, view) * np.float32("nan")

    reference = TorchRuntime(model, header.preprocess)
    assert not ParityCheck(reference, header.preprocess).measure(Broken(model, header.preprocess)).passed


def test_real_frames_are_of_the_packaged_clip(tiny: Tiny) -> None:
    images = real_images(tiny[0].preprocess)
    assert images.shape[1] == 72
    assert len(images) > 30
    assert images.std() > 20


# --- by name ------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is made anew: graphs and measurements."""
    made: list[str] = []

    def write(*args: Any, **kwargs: Any) -> ExportedModel:
        made.append("graphs")
        return write_graphs(*args, **kwargs)

    measure = ParityCheck.measure

    def counting_measure(self: ParityCheck, candidate: Runtime) -> Any:
        made.append(candidate.name)
        return measure(self, candidate)

    monkeypatch.setattr(choose, "write_graphs", write)
    monkeypatch.setattr(ParityCheck, "measure", counting_measure)
    return made


def test_auto_measures_once_and_remembers(
    tiny_model: Path, clip20: Path, tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds = {"torch": 1.0, "torch-bf16": 2.0, "onnxruntime": 3.0, "openvino": 9.0, "openvino-bf16": 4.0}
    timed: list[set[str]] = []

    def speeds_of(candidates: dict[str, Runtime], preprocess: Any, frames_at_once: int) -> dict[str, float]:
        timed.append(set(candidates))
        if frames_at_once == 1:
            return {name: -speeds[name] for name in candidates}
        return {name: speeds[name] for name in candidates}

    monkeypatch.setattr(choose, "_speeds", speeds_of)
    first = Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=tmp_path)
    assert first.runtime.name == "openvino"
    assert counted.count("graphs") == 1
    assert {"torch", "onnxruntime", "openvino"} <= timed[0]
    before = list(counted)
    again = Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=tmp_path)
    assert (again.runtime.name, counted, len(timed)) == ("openvino", before, 1)
    live = Recognizer.load(tiny_model, device="cpu", runtime="auto", batch_size=1, cache_dir=tmp_path)
    assert (live.runtime.name, counted, len(timed)) == ("torch", before, 2)  # what is fastest then, by other times
    np.testing.assert_allclose(again(clip20).probs, Recognizer.load(tiny_model, device="cpu")(clip20).probs, atol=1e-5)


def test_auto_leaves_out_what_does_not_say_what_torch_says(
    tiny_model: Path, kept_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_speeds", lambda candidates, *_: {name: len(name) for name in candidates})
    encode = GraphRuntime.encode
    monkeypatch.setattr(GraphRuntime, "encode", lambda self, images, view: 1.5 * encode(self, images, view))
    chosen = Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=kept_graphs).runtime.name
    assert chosen.partition("-")[0] == "torch"
    with pytest.raises(ConfigError, match="does not say what torch says"):
        Recognizer.load(tiny_model, device="cpu", runtime="onnxruntime", cache_dir=kept_graphs)


def test_auto_passes_over_an_engine_that_is_installed_and_broken(
    tiny_model: Path, kept_graphs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    for package in ("openvino", "onnxruntime"):
        (broken / package).mkdir(parents=True)
        (broken / package / "__init__.py").write_text("raise OSError('libengine.so: wrong ELF class')\n")
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(broken)
    chosen = Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=kept_graphs).runtime.name
    assert chosen.partition("-")[0] == "torch"
    with pytest.raises(MissingExtraError, match=r"openvino, which is installed but cannot be imported \(libengine\.so"):
        Recognizer.load(tiny_model, device="cpu", runtime="openvino", cache_dir=kept_graphs)


def test_verdicts_hold_for_the_kind_of_processor_they_were_made_on(
    tiny_model: Path, kept_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_speeds", lambda candidates, *_: {name: len(name) for name in candidates})
    Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=kept_graphs)
    before = set(kept_graphs.rglob("*.json"))
    monkeypatch.setattr(choose, "has_native_bf16", lambda device: "as if it were another processor")
    Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=kept_graphs)
    assert set(kept_graphs.rglob("*.json")) - before


@pytest.mark.parametrize("fastest", ["onnxruntime", "torch"])
def test_auto_takes_what_encodes_fastest_once_it_is_warm(
    fastest: str, tiny_model: Path, kept_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    cold_s = [90.0, 90.0, 90.0]  # two of its five rounds, and the one before that does not count

    def take_time(runtime: type[Any]) -> None:
        encode = runtime.encode

        def slowed(self: Any, images: np.ndarray, view: Any) -> np.ndarray:
            usual_s = 1.0 if self.name == fastest else 2.0
            clock_s[0] += cold_s.pop() if self.name == fastest and cold_s else usual_s
            features: np.ndarray = encode(self, images, view)
            return features

        monkeypatch.setattr(runtime, "encode", slowed)

    monkeypatch.setattr(ParityCheck, "measure", lambda self, candidate: Parity("fp32", 0.0, 0.0, 0.0, 0.0, 1.0))
    monkeypatch.setattr(choose, "time", SimpleNamespace(perf_counter=lambda: clock_s[0]))
    for runtime in (GraphRuntime, TorchRuntime):
        take_time(runtime)
    recognizer = Recognizer.load(tiny_model, device="cpu", runtime="auto", cache_dir=kept_graphs)
    assert recognizer.runtime.name == fastest


def test_damaged_graphs_of_the_cache_are_made_anew(tiny_model: Path, clip20: Path, kept_graphs: Path) -> None:
    expected = Recognizer.load(tiny_model, device="cpu", runtime="onnxruntime", cache_dir=kept_graphs)(clip20)
    graphs = {path: path.read_bytes() for path in kept_graphs.rglob("*.onnx")}
    assert graphs
    for path, whole in graphs.items():
        path.write_bytes(whole[:1000])
    again = Recognizer.load(tiny_model, device="cpu", runtime="onnxruntime", cache_dir=kept_graphs)
    assert again(clip20).probs == expected.probs
    assert {path: len(path.read_bytes()) for path in graphs} == {path: len(whole) for path, whole in graphs.items()}


def test_other_weights_get_other_graphs(tiny: Tiny, tmp_path: Path) -> None:
    """Of the graph that reads clips alone: the others take long to make, and are kept alike."""
    header, model = tiny
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.head.classifier.parameters():
            parameter.mul_(-1)
    embedded = model.head.embed(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)))[None].detach().numpy()
    unsaved = replace(header, sha256="")  # of a model that is in no file the weights tell

    def probs(about: RecognitionHeader, network: RecognitionModel) -> np.ndarray:
        graphs = Kept(about, network, tmp_path, names=("clip",)).graphs()
        return open_session(graphs.graph("clip"), "onnxruntime")({"embedded": embedded, "lengths": np.array([4])})[0]

    pairs = ((unsaved, model), (unsaved, other), (replace(header, sha256="b"), other))
    answers = [probs(about, network) for about, network in pairs]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    np.testing.assert_array_equal(answers[1], answers[2])
    assert len(list(tmp_path.rglob("clip.onnx"))) == 3
    np.testing.assert_array_equal(probs(unsaved, other), answers[1])
    assert len(list(tmp_path.rglob("clip.onnx"))) == 3


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("tourch", UnknownNameError, "did you mean 'torch'"),
        ("openvino-int8", ConfigError, "lrcn export MODEL --int8"),
    ],
)
def test_unknown_runtimes_are_refused(tiny_model: Path, name: str, error: type[LRCNError], message: str) -> None:
    with pytest.raises(error, match=message):
        Recognizer.load(tiny_model, device="cpu", runtime=name)


@pytest.mark.parametrize(
    ("capabilities", "lacks"),
    [
        ({"architecture": "x86_64", "avx2": True}, True),
        ({"architecture": "x86_64", "avx_vnni": True}, False),
        ({"architecture": "x86_64", "avx512_vnni": True}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_only_x86_cpus_that_say_so_lack_vnni(
    capabilities: dict[str, Any], lacks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert lacks_vnni() == lacks


def test_bf16_is_close_or_refused(tiny: Tiny) -> None:
    header, caffenet = tiny
    if not has_native_bf16(torch.device("cpu")):
        with pytest.raises(ConfigError, match="bfloat16 instructions"):
            TorchRuntime(caffenet, header.preprocess, precision="bf16")
        return
    with pytest.raises(ConfigError, match=r"cannot run this network \(.*not implemented for 'BFloat16'"):
        TorchRuntime(caffenet, header.preprocess, precision="bf16")
    torch.manual_seed(0)
    config = replace(header.model, backbone=BackboneConfig(name="squeezenet1_1"))
    model = RecognitionModel(config).eval()
    runtime = TorchRuntime(model, header.preprocess, precision="bf16")
    assert next(model.backbone.parameters()).dtype == torch.float32  # the caller's model stays as it is
    parity = ParityCheck(TorchRuntime(model, header.preprocess), header.preprocess).measure(runtime)
    assert 1e-5 < parity.feature_error <= LIMITS["bf16"].feature
    assert parity.passed


# --- exported folders ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_exported_folder_recognises_as_the_model_file_does(
    tiny_model: Path, clip20: Path, exported: dict[str, ExportedModel], format: str
) -> None:
    expected = Recognizer.load(tiny_model, device="cpu")(clip20, clip_stride=1)
    result = Recognizer.load(exported[format].folder)(clip20, clip_stride=1)
    np.testing.assert_allclose(result.probs, expected.probs, atol=1e-5)
    assert [s.top[0].label for s in result.segments] == [s.top[0].label for s in expected.segments]
    assert result.model["sha256"] == expected.model["sha256"]
    short = np.zeros((2, 72, 72, 3), np.uint8)  # shorter than the clip graph
    expected = Recognizer.load(tiny_model, device="cpu")(short)
    np.testing.assert_allclose(Recognizer.load(exported[format].folder)(short).probs, expected.probs, atol=1e-5)


def test_exported_folder_opens_with_what_reads_it(exported: dict[str, ExportedModel]) -> None:
    onnx, openvino = exported["onnx"].folder, exported["openvino"].folder
    assert open_exported(onnx).name == open_exported(onnx, runtime="auto").name == "onnxruntime"
    assert open_exported(onnx, runtime="openvino").name == "openvino"
    assert open_exported(openvino, device="cpu").name == "openvino"
    if openvino_has_bf16():
        assert open_exported(openvino, runtime="openvino-bf16").name == "openvino-bf16"
    for folder, runtime in ((openvino, "onnxruntime"), (onnx, "torch"), (onnx, "onnxruntime-bf16"), (onnx, "x")):
        with pytest.raises(ConfigError, match="does not run on"):
            open_exported(folder, runtime=runtime)
    with pytest.raises(ConfigError, match="run on the CPU"):
        open_exported(onnx, device="cuda")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("flip", r"clip\.onnx: missing or damaged"),
        ("cut", r"clip\.onnx: missing or damaged"),
        ("missing", r"clip\.onnx: missing or damaged"),
        ("json", r"lrcn-export\.json: damaged"),
        ("schema", r"lrcn-export\.json: of schema 99"),
        ("field", r"lrcn-export\.json: damaged or changed by hand"),
        ("label", r"lrcn-export\.json: damaged or changed by hand"),
        ("file", r"lrcn-export\.json: damaged or changed by hand"),
        ("digest", r"lrcn-export\.json: damaged"),
    ],
)
def test_damaged_folder_is_refused(
    exported: dict[str, ExportedModel], tmp_path: Path, damage: str, message: str
) -> None:
    folder = tmp_path / "m"
    shutil.copytree(exported["onnx"].folder, folder)
    graph, description = folder / "clip.onnx", folder / DESCRIPTION
    fields = json.loads(description.read_text())
    if damage == "flip":
        content = bytearray(graph.read_bytes())
        content[len(content) // 2] ^= 1
        graph.write_bytes(content)
    elif damage == "cut":
        graph.write_bytes(graph.read_bytes()[:-10])
    elif damage == "missing":
        graph.unlink()
    elif damage == "json":
        description.write_text(description.read_text()[:100])
    else:
        if damage == "label":
            fields["header"]["labels"][0] = "dance"
        elif damage == "file":
            graph.write_bytes(b"another graph")
            del fields["files"]["clip.onnx"]
        elif damage == "digest":
            del fields["sha256"]
        else:
            fields |= {"schema": 99} if damage == "schema" else {"colour": 1}
        description.write_text(json.dumps(fields))
    with pytest.raises(ModelFileError, match=message) as caught:
        read_exported(folder)
    assert "\n" not in str(caught.value)


def test_how_a_description_is_laid_out_does_not_matter(exported: dict[str, ExportedModel], tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(exported["onnx"].folder, folder)
    fields = json.loads((folder / DESCRIPTION).read_text())
    (folder / DESCRIPTION).write_text(json.dumps(dict(reversed(fields.items())), indent=7))
    assert read_exported(folder).header == exported["onnx"].header


def test_recognizer_takes_a_runtime(tiny: Tiny, exported: dict[str, Any], clip20: Path) -> None:
    header, _ = tiny
    assert Recognizer(header, GraphRuntime(exported["onnx"]))(clip20).model["runtime"] == "onnxruntime"
