"""Imported activity nets against a real Caffe, OpenCV and the LSTM equations, and every way an import can fail."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.caffe.caffe_bytes import GOLDEN, blob, chunk, float32, integer, layer, rule_pixels, varint, write_rule_net

from lrcn import model_file
from lrcn.caffe.importing import ImportReport, import_caffe, read_labels
from lrcn.caffe.reader import CaffeLayer, CaffeModel
from lrcn.caffe.weights import lstm_weights
from lrcn.config import BackboneConfig
from lrcn.errors import DataError, ModelFileError
from lrcn.models.lstm import LSTMStack
from lrcn.models.recognition import RecognitionModel

THIN = (GOLDEN / "activity_thin.prototxt").read_text()
SINGLE_FRAME = THIN[: THIN.index('layer{name:"reshape-data"')].replace(
    'input: "cont" input_shape{dim:4 dim:2}\n', ""
) + (
    'layer{name:"drop6" type:"Dropout" bottom:"fc6" top:"fc6"}\n'
    'layer{name:"fc7" type:"InnerProduct" bottom:"fc6" top:"fc7" inner_product_param{num_output:24}}\n'
    'layer{name:"relu7" type:"ReLU" bottom:"fc7" top:"fc7"}\n'
    'layer{name:"fc8-ucf" type:"InnerProduct" bottom:"fc7" top:"fc8-ucf" inner_product_param{num_output:5}}\n'
)
LSTM_ON_FC7 = SINGLE_FRAME.replace("fc8-ucf", "fc8-final").replace(
    'layer{name:"fc8-final" type:"InnerProduct" bottom:"fc7"',
    'layer{name:"lstm1" type:"LSTM" bottom:"fc7" bottom:"cont" top:"lstm1" recurrent_param{num_output:6}}\n'
    'layer{name:"fc8-final" type:"InnerProduct" bottom:"lstm1"',
)


def _thin_caffenet(prototxt: str) -> str:
    """A CaffeNet an eighth as wide, with the layers from fc6 on that `prototxt` has."""
    full = (GOLDEN / "caffenet_full.prototxt").read_text().replace('input: "cont" input_shape{dim:4 dim:1}\n', "")
    full = re.sub(r"num_output:(\d+)", lambda match: f"num_output:{int(match[1]) // 8}", full)
    return full[: full.index('layer{name:"fc6"')] + prototxt[prototxt.index('layer{name:"fc6"') :]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return _labels(tmp_path, 5)


def _labels(folder: Path, count: int) -> Path:
    path = folder / "labels.txt"
    path.write_text("".join(f"class{i}\n" for i in range(count)))
    return path


def _import(tmp_path: Path, prototxt: str, *, written: str | None = None, map_px: int = 6, **options) -> ImportReport:
    """Import the net of `prototxt`, whose caffemodel is that of the prototxt `written`."""
    model = write_rule_net(written or prototxt, tmp_path / "net.caffemodel", map_px=map_px)
    (tmp_path / "net.prototxt").write_text(prototxt)
    output = tmp_path / "net.safetensors"
    return import_caffe(
        model, labels=_labels(tmp_path, 5), output=output, prototxt=tmp_path / "net.prototxt", **options
    )


def _error(found: torch.Tensor, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())


def _check_against_caffe(network: RecognitionModel, golden: dict[str, np.ndarray]) -> None:
    cont = torch.from_numpy(golden["cont"])
    steps, clips = cont.shape
    with torch.inference_mode():
        features = network.encode(torch.from_numpy(rule_pixels(steps * clips)))
        state, outputs = network.head.lstm.initial_state(clips), []
        for inputs, keep in zip(features.view(steps, clips, -1), cont, strict=True):
            state = state._replace(hidden=state.hidden * keep[:, None], cell=state.cell * keep[:, None])
            output, state = network.head.lstm.step(inputs, state)
            outputs.append(output)
        logits = network.head.classifier(torch.stack(outputs))
    assert _error(features, golden["fc6"]) <= 1e-4
    assert _error(torch.stack(outputs), golden["lstm1"]) <= 1e-4
    assert _error(logits, golden["fc8-final"]) <= 1e-4
    assert _error(logits.softmax(dim=-1), golden["probs"]) <= 1e-4


def test_thin_hybrid_net_computes_what_caffe_computes(tmp_path: Path, labels: Path) -> None:
    report = import_caffe(GOLDEN / "activity_thin.caffemodel", labels=labels, output=tmp_path / "m.safetensors")
    header, network = model_file.load(report.path)
    assert header == report.header
    assert header.model.head == "lstm"
    assert report.taken == ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "lstm1", "fc8-final")
    assert report.ignored == ()
    _check_against_caffe(network, dict(np.load(GOLDEN / "activity_thin.npz")))


def test_whole_sequences_equal_caffe_where_nothing_is_reset(tmp_path: Path, labels: Path) -> None:
    golden = np.load(GOLDEN / "activity_thin.npz")
    import_caffe(GOLDEN / "activity_thin.caffemodel", labels=labels, output=tmp_path / "m.safetensors")
    _, network = model_file.load(tmp_path / "m.safetensors")
    (whole,) = np.flatnonzero(golden["cont"][1:].all(axis=0))  # the clip without a reset inside
    features = torch.from_numpy(golden["fc6"].reshape(4, 2, -1)[:, whole])
    with torch.inference_mode():
        assert _error(network(features[None])[0], golden["fc8-final"][:, whole]) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "backbone"), [("hybrid_full", "hybrid"), ("caffenet_full", "caffenet")])
def test_full_size_nets_compute_what_caffe_computes(tmp_path: Path, name: str, backbone: str) -> None:
    prototxt = GOLDEN / f"{name}.prototxt"
    model = write_rule_net(prototxt.read_text(), tmp_path / "net.caffemodel")  # some 230 MB
    options = {"labels": _labels(tmp_path, 101), "output": tmp_path / "m.safetensors", "prototxt": prototxt}
    report = import_caffe(model, **options)
    model.unlink()
    assert report.header.model.backbone == BackboneConfig(name=backbone, layer="fc6")  # the released sizes
    _, network = model_file.load(report.path)
    _check_against_caffe(network, dict(np.load(GOLDEN / f"{name}.npz")))


@pytest.mark.parametrize("backbone", ["hybrid", "caffenet"])
def test_single_frame_nets_compute_what_opencv_computes(tmp_path: Path, backbone: str) -> None:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        pytest.skip("OpenCV 5 reads no caffemodel; use opencv < 5")
    report = _import(tmp_path, SINGLE_FRAME if backbone == "hybrid" else _thin_caffenet(SINGLE_FRAME))
    config = report.header.model
    assert (config.head, config.backbone.name, config.backbone.layer) == ("frame", backbone, "fc7")
    _, network = model_file.load(report.path)
    pixels = rule_pixels(3)
    net = cv2.dnn.readNetFromCaffe(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"))
    net.setInput(pixels)
    with torch.inference_mode():
        logits = network(network.encode(torch.from_numpy(pixels))[:, None])[:, 0]
    assert _error(logits, net.forward()) <= 1e-4


@pytest.mark.parametrize("input_px", [99, 195])
def test_images_of_another_size_are_imported(tmp_path: Path, input_px: int) -> None:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        pytest.skip("OpenCV 5 reads no caffemodel; use opencv < 5")
    prototxt = SINGLE_FRAME.replace("dim:227 dim:227", f"dim:{input_px} dim:{input_px}")
    report = _import(tmp_path, prototxt, map_px={99: 2, 195: 5}[input_px])
    assert report.header.preprocess.crop == input_px
    _, network = model_file.load(report.path)
    pixels = rule_pixels(2)[:, :, :input_px, :input_px].copy()
    net = cv2.dnn.readNetFromCaffe(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"))
    net.setInput(pixels)
    with torch.inference_mode():
        logits = network(network.encode(torch.from_numpy(pixels))[:, None])[:, 0]
    assert _error(logits, net.forward()) <= 1e-4


@pytest.mark.parametrize("backbone", ["hybrid", "caffenet"])
def test_an_lstm_that_reads_fc7_is_found_from_the_connections(tmp_path: Path, backbone: str) -> None:
    prototxt = LSTM_ON_FC7 if backbone == "hybrid" else _thin_caffenet(LSTM_ON_FC7)
    report = _import(tmp_path, prototxt)
    config = report.header.model
    assert (config.head, config.backbone.layer, config.hidden_size) == ("lstm", "fc7", 6)
    _, network = model_file.load(report.path)
    assert network.backbone.feature_size == network.head.lstm.input_size == 24


def test_a_file_without_connections_is_taken_in_its_order(tmp_path: Path, labels: Path) -> None:
    connected = _import(tmp_path, LSTM_ON_FC7)
    _, expected = model_file.load(connected.path)
    model = write_rule_net(LSTM_ON_FC7, tmp_path / "bare.caffemodel", connected=False)
    report = import_caffe(model, labels=labels, output=tmp_path / "bare.safetensors")
    assert report.header.model == connected.header.model
    _, found = model_file.load(report.path)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor, rtol=0, atol=0)


def test_layers_that_the_prototxt_leaves_out_are_ignored_and_named(tmp_path: Path) -> None:
    more = (
        LSTM_ON_FC7 + 'layer{name:"fc8" type:"InnerProduct" bottom:"fc7" top:"fc8" inner_product_param{num_output:9}}'
    )
    report = _import(tmp_path, LSTM_ON_FC7, written=more)
    assert report.ignored == ("fc8",)
    assert report.taken[-3:] == ("fc7", "lstm1", "fc8-final")


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("static", [0, 3])
def test_lstm_equations_of_caffe_over_several_clips_with_resets(static: int) -> None:
    rng = np.random.default_rng(11)
    steps, clips, size, units = 12, 4, 5, 7
    w_x, b, w_h = rng.normal(size=(4 * units, size)), rng.normal(size=4 * units), rng.normal(size=(4 * units, units))
    w_s = rng.normal(size=(4 * units, static))
    blobs = [w_x, b, w_s, w_h] if static else [w_x, b, w_h]
    caffe_layer = CaffeLayer("lstm1", "LSTM", (), (), {}, tuple(value.astype(np.float32) for value in blobs))
    weights = lstm_weights(CaffeModel(Path("x"), "x", (caffe_layer,)), [caffe_layer], input_size=size)
    stack = LSTMStack(size, units, context_size=static).double()
    stack.load_state_dict(weights.tensors)

    inputs, image = rng.normal(size=(steps, clips, size)), rng.normal(size=(clips, static))
    cont = rng.random((steps, clips)) > 0.3
    assert not cont.all()
    h = c = np.zeros((clips, units))
    state = stack.initial_state(clips)
    for t in range(steps):
        # lstm_layer.cpp, lstm_unit_layer.cpp: gates i, f, o, g; cont erases h before W_hc, and c with the forget gate
        keep = cont[t][:, None]
        gates = inputs[t] @ w_x.T + b + image @ w_s.T + (h * keep) @ w_h.T
        i, f, o, g = np.split(gates, 4, axis=1)
        c = keep * _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        mask = torch.from_numpy(keep)
        state = state._replace(hidden=state.hidden * mask, cell=state.cell * mask)
        context = torch.from_numpy(image) if static else None
        with torch.no_grad():
            output, state = stack.step(torch.from_numpy(inputs[t]), state, context)
        np.testing.assert_allclose(output.numpy(), h, rtol=0, atol=1e-6)


RGB_MEAN, FLOW_MEAN = (103.939, 116.779, 123.68), (128.0, 128.0, 128.0)
MEAN_OF_CAFFENET = chunk(100, float32(5, 104.0) + float32(5, 117.0) + float32(5, 123.0))
STREAMS = {
    "nothing": (b"", "net.caffemodel", "rgb", RGB_MEAN),
    "mean of 128": (chunk(100, float32(5, 128.0) * 3), "net.caffemodel", "flow", FLOW_MEAN),
    "one mean for all": (chunk(100, float32(5, 128.0)), "net.caffemodel", "flow", FLOW_MEAN),
    "mean of colours": (MEAN_OF_CAFFENET, "flow.caffemodel", "rgb", (104.0, 117.0, 123.0)),
    "data layer of flow": (chunk(130, chunk(2, "videoReadTrain_flow")), "net.caffemodel", "flow", FLOW_MEAN),
    "data layer of RGB": (chunk(130, chunk(2, "videoReadTrain_RGB")), "flow.caffemodel", "rgb", RGB_MEAN),
    "file name": (b"", "flow_lstm_model_iter_50000.caffemodel", "flow", FLOW_MEAN),
}


def _with_data_layer(folder: Path, name: str, extra: bytes) -> Path:
    path = folder / name
    golden = (GOLDEN / "activity_thin.caffemodel").read_bytes()
    path.write_bytes(layer("data", "Data", tops=["data"], extra=extra) + golden)
    return path


@pytest.mark.parametrize("evidence", STREAMS)
def test_the_stream_and_its_pixels_are_found(tmp_path: Path, labels: Path, evidence: str) -> None:
    extra, name, stream, mean = STREAMS[evidence]
    path = _with_data_layer(tmp_path, name, extra)
    preprocess = import_caffe(path, labels=labels, output=tmp_path / "m.safetensors").header.preprocess
    assert (preprocess.stream, preprocess.mean) == (stream, mean)
    assert (preprocess.channel_order, preprocess.std, preprocess.sample_fps) == ("bgr", (1, 1, 1), None)
    assert (preprocess.resize, preprocess.crop) == ((240, 320), 227)
    assert (preprocess.clip_length, preprocess.clip_stride) == (16, 8)
    assert not preprocess.release_quirks


def test_release_quirks_bring_the_wrong_red_mean_to_rgb_alone(tmp_path: Path) -> None:
    quirky = _import(tmp_path, SINGLE_FRAME, release_quirks=True).header.preprocess
    assert (quirky.release_quirks, quirky.mean) == (True, (103.939, 116.779, 128.68))
    flow = _import(tmp_path, SINGLE_FRAME, release_quirks=True, stream="flow").header.preprocess
    assert (flow.release_quirks, flow.mean) == (True, FLOW_MEAN)


def test_a_given_stream_wins_over_the_data_layer(tmp_path: Path, labels: Path) -> None:
    path = _with_data_layer(tmp_path, "net.caffemodel", MEAN_OF_CAFFENET)
    report = import_caffe(path, labels=labels, output=tmp_path / "m.safetensors", stream="flow")
    assert (report.header.preprocess.stream, report.header.preprocess.mean) == ("flow", FLOW_MEAN)
    assert report.stream == "flow (as given)"


FAILURES = {
    "missing convolution": (lambda p: _without(p, "conv4", "relu4"),
                            "begins with layer 'conv5' .Convolution, reading 'conv4'"),
    "missing LSTM": (lambda p: _without(p, "lstm1"), "'fc8-final' reads 'lstm1', which no layer writes"),
    "cut before the classifier": (lambda p: p[: p.index('layer{name:"fc8-final"')], "0 fully connected layers"),
    "unknown layer": (
        lambda p: p.replace('layer{name:"relu1"', 'layer{name:"bn1" type:"BatchNorm" bottom:"conv1" top:"conv1"}\n'
                            'layer{name:"relu1"', 1),
        r"layer 'bn1' \(BatchNorm\) stands where the hybrid net has relu1 \(ReLU\)",
    ),
    "norm before pool": (
        lambda p: p.replace('name:"pool1" type:"Pooling"', 'name:"pool1" type:"X"').replace(
            'name:"norm1" type:"LRN"', 'name:"norm1" type:"Pooling"').replace('type:"X"', 'type:"LRN"'),
        r"layer 'pool1' \(LRN\) stands where the hybrid net has pool1 \(Pooling\)",
    ),
    "no ReLU after fc6": (lambda p: _without(p, "relu6"), "the layers end where the hybrid net has relu6"),
    "another stride": (lambda p: p.replace("kernel_size:7 stride:2", "kernel_size:7 stride:4"),
                       r"layer 'conv1' has stride \(4, 4\), expected \(2, 2\)"),
    "another pad": (lambda p: p.replace("pad:1 group:1", "pad:0 group:1"),
                    r"'conv3' has pad \(0, 0\), expected \(1, 1\)"),
    "another norm": (lambda p: p.replace("alpha:0.0001", "alpha:0.0005", 1), "'norm1' has alpha 0.0005"),
    "mean pooling": (lambda p: p.replace("pool:MAX", "pool:AVE", 1), "'pool1' has pool AVE, expected MAX"),
}  # fmt: skip


def _without(prototxt: str, *names: str) -> str:
    return "\n".join(line for line in prototxt.splitlines() if not any(f'name:"{name}"' in line for name in names))


@pytest.mark.parametrize("kind", FAILURES)
def test_a_net_that_would_compute_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    change, message = FAILURES[kind]
    with pytest.raises(ModelFileError, match=message) as caught:
        _import(tmp_path, change(THIN), written=THIN)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "net.caffemodel") in str(caught.value)
    assert not (tmp_path / "net.safetensors").exists()


WRONG_SHAPES = {
    "conv2": ((32, 4, 5, 5), (32, 5, 4, 5), "layer 'conv2' blob 0 is (32, 5, 4, 5), expected (32, 4, 5, 5)"),
    "fc6": ((32, 1152), (36, 1024), "layer 'fc6' blob 0 is (36, 1024), expected (36, 1152)"),
    "lstm1": ((32, 32), (64, 16), "layer 'lstm1' blob 0 is (64, 16), expected (32, 32)"),
    "fc8-final": ((5, 8), (4, 10), "layer 'fc8-final' blob 0 is (4, 10), expected (4, 8)"),
}


@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_a_wrong_shape_names_file_layer_expected_and_found(tmp_path: Path, labels: Path, name: str) -> None:
    shape, changed, message = WRONG_SHAPES[name]
    old, new = (chunk(7, chunk(1, b"".join(map(varint, dims)))) for dims in (shape, changed))
    content = (GOLDEN / "activity_thin.caffemodel").read_bytes()
    place = content.index(old, content.index(name.encode()))
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content[:place] + new + content[place + len(old) :])
    with pytest.raises(ModelFileError) as caught:
        import_caffe(path, labels=labels, output=tmp_path / "m.safetensors")
    assert str(caught.value) == f"{path}: {message}"
    assert not (tmp_path / "m.safetensors").exists()


@given(st.data())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_file_gives_an_error_and_no_output(tmp_path: Path, labels: Path, data: st.DataObject) -> None:
    content = (GOLDEN / "activity_thin.caffemodel").read_bytes()
    last_layer_with_weights = content.index(b"fc8-final\x12")
    path, output = tmp_path / "cut.caffemodel", tmp_path / "m.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, last_layer_with_weights + 100))])
    with pytest.raises(ModelFileError) as caught:
        import_caffe(path, labels=labels, output=output)
    assert "\n" not in str(caught.value)
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b\na\n", ("b", "a")),
        ("\ufeffb\r\n\r\na", ("b", "a")),
        ("1 Archery\n2 Apply Lipstick\n", ("Archery", "Apply Lipstick")),
        ("2 b\n1 a\n", ("a", "b")),
        ("0 a\n1 b\n", ("a", "b")),
        ("2 hands\n3 hands\n", ("2 hands", "3 hands")),  # not numbered from 0 or 1: names
        ("1 a\nb\n", ("1 a", "b")),
    ],
)
def test_labels_are_read_as_lines_or_as_class_index(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_labels(path, num_classes=2) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\nb\nc\n", "3 labels, the net has 2"),
        (b"a\na\n", "'a' stands there twice"),
        (b"\xff\xfe", "not a text file"),
    ],
)
def test_labels_that_do_not_fit_give_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"labels.txt: .*{message}"):
        read_labels(path, num_classes=2)
    with pytest.raises(DataError, match="No such file"):
        read_labels(tmp_path / "absent", num_classes=2)


REFUSED_PIXELS = {
    "scaled": (chunk(100, float32(1, 1 / 255)), "multiplies pixels by 0.00392157"),
    "grey": (chunk(100, integer(7, 1)), "takes grey images"),
}


@pytest.mark.parametrize("kind", REFUSED_PIXELS)
def test_pixels_prepared_in_another_way_are_refused(tmp_path: Path, labels: Path, kind: str) -> None:
    extra, message = REFUSED_PIXELS[kind]
    path = _with_data_layer(tmp_path, "net.caffemodel", extra)
    with pytest.raises(ModelFileError, match=f"layer 'data' {message}"):
        import_caffe(path, labels=labels, output=tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()


def test_a_mean_image_is_told_of(tmp_path: Path, labels: Path) -> None:
    path = _with_data_layer(tmp_path, "net.caffemodel", chunk(100, chunk(4, "mean.binaryproto")))
    report = import_caffe(path, labels=labels, output=tmp_path / "m.safetensors")
    assert "mean image mean.binaryproto, which is not read" in report.warnings[0]


def test_the_red_mean_of_the_release_is_told_of(tmp_path: Path, labels: Path) -> None:
    model = GOLDEN / "activity_thin.caffemodel"
    plain = import_caffe(model, labels=labels, output=tmp_path / "m.safetensors")
    assert "--release-quirks" in plain.warnings[-1]
    quirky = import_caffe(model, labels=labels, output=tmp_path / "m.safetensors", release_quirks=True)
    assert quirky.warnings == ()


def test_a_prototxt_drops_nothing_that_the_file_says_of_its_pixels(tmp_path: Path, labels: Path) -> None:
    flow = write_rule_net(SINGLE_FRAME, tmp_path / "bare.caffemodel").read_bytes()
    path = tmp_path / "net.caffemodel"
    path.write_bytes(layer("data", "Data", tops=["data"], extra=chunk(100, float32(5, 128.0) * 3)) + flow)
    (tmp_path / "net.prototxt").write_text(SINGLE_FRAME)
    output = tmp_path / "m.safetensors"
    report = import_caffe(path, labels=labels, output=output, prototxt=tmp_path / "net.prototxt")
    assert (report.header.preprocess.stream, report.header.preprocess.mean) == ("flow", FLOW_MEAN)


def test_a_backbone_needs_no_labels(tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    report = import_caffe(GOLDEN / "activity_thin.caffemodel", labels=None, output=output)
    assert report.header.labels == tuple(f"class {number}" for number in range(5))
    with pytest.raises(DataError, match=r"a captioning net: name its words"):
        import_caffe(GOLDEN / "caption_1u.caffemodel", labels=None, output=output)


@pytest.mark.parametrize("input_px", [200, 227])
def test_a_vgg_net_of_another_size_is_refused(tmp_path: Path, input_px: int) -> None:
    first = layer("conv1_1", "Convolution", [blob(np.zeros((64, 3, 3, 3)))], bottoms=["data"], tops=["conv1_1"])
    fc6 = layer("fc6", "InnerProduct", [blob(np.zeros((8, 64)))], bottoms=["conv1_1"], tops=["fc6"])
    fc8 = layer("fc8", "InnerProduct", [blob(np.zeros((5, 8)))], bottoms=["fc6"], tops=["fc8"])
    dims = b"".join(integer(4, size) for size in (1, 3, input_px, input_px))
    (tmp_path / "net.caffemodel").write_bytes(chunk(3, "data") + dims + first + fc6 + fc8)
    with pytest.raises(ModelFileError, match=f"a VGG16 net for images of {input_px} px, where one of 224 px is read"):
        import_caffe(tmp_path / "net.caffemodel", labels=_labels(tmp_path, 5), output=tmp_path / "m.safetensors")


def test_numbered_labels_with_a_gap_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("1 walk\n2 run\n4 jump\n")
    with pytest.raises(DataError, match="numbered labels, of which 3 is missing"):
        read_labels(path, num_classes=3)
