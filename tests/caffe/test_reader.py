"""The caffemodel reader against bytes built by hand, files that Caffe wrote, and files that are damaged."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.caffe.caffe_bytes import GOLDEN, blob, chunk, float32, integer, layer, rule_blob, shape, v1_layer, varint

from lrcn.caffe.reader import CaffeModel, read_caffemodel, read_net, read_prototxt
from lrcn.errors import ModelFileError

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5
PACKED = VALUES.astype("<f4").tobytes()
LEGACY = integer(1, 1) + integer(2, 1) + integer(3, 2) + integer(4, 3)  # num, channels, height, width

BLOBS = {
    "packed": shape((2, 3)) + chunk(5, PACKED),
    "data before shape": chunk(5, PACKED) + shape((2, 3)),
    "packed in two parts": shape((2, 3)) + chunk(5, PACKED[:8]) + chunk(5, PACKED[8:]),
    "one number at a time": shape((2, 3)) + b"".join(float32(5, v) for v in VALUES.ravel()),
    "packed, then one at a time": shape((2, 3)) + chunk(5, PACKED[:16]) + b"".join(float32(5, v) for v in (1.5, 2.5)),
    "shape one number at a time": chunk(7, integer(1, 2) + integer(1, 3)) + chunk(5, PACKED),
    "double": shape((2, 3)) + chunk(8, VALUES.astype("<f8").tobytes()),
    "double one at a time": shape((2, 3)) + b"".join(varint(8 << 3 | 1) + struct.pack("<d", v) for v in VALUES.ravel()),
    "with gradients": chunk(6, PACKED) + chunk(9, b"\0" * 48) + shape((2, 3)) + chunk(5, PACKED),
    "with unknown fields": integer(77, 5) + chunk(78, b"xyz") + shape((2, 3)) + float32(79, 1.0) + chunk(5, PACKED),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def _read(tmp_path: Path, content: bytes) -> CaffeModel:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return read_caffemodel(path)


@pytest.mark.parametrize("form", BLOBS)
@pytest.mark.parametrize("write", [lambda b: layer("ip", "InnerProduct", [b]), lambda b: v1_layer("ip", 14, [b])])
def test_each_way_to_write_a_blob_reads_the_same(tmp_path: Path, form: str, write) -> None:
    (found,) = _read(tmp_path, chunk(1, "net") + write(BLOBS[form])).layers
    assert (found.name, found.type) == ("ip", "InnerProduct")
    np.testing.assert_array_equal(found.blobs[0], VALUES, strict=True)


def test_legacy_dimensions_win_over_none(tmp_path: Path) -> None:
    (found,) = _read(tmp_path, layer("ip", "InnerProduct", [LEGACY + chunk(5, PACKED)])).layers
    np.testing.assert_array_equal(found.blobs[0], VALUES.reshape(1, 1, 2, 3), strict=True)


@pytest.mark.parametrize("name", ["fc\u00e9".encode("latin-1"), b"fc\n"])
def test_a_name_that_cannot_be_printed_is_no_reason_to_refuse_a_file(tmp_path: Path, name: bytes) -> None:
    content = chunk(100, chunk(1, name) + chunk(2, "InnerProduct") + chunk(7, blob(VALUES)))
    (found,) = _read(tmp_path, content).layers
    assert found.name == "fc\ufffd"


@pytest.mark.parametrize("old", [False, True])
def test_settings_and_connections_are_read_and_unknown_fields_skipped(tmp_path: Path, old: bool) -> None:
    conv = integer(1, 8) + integer(3, 2) + integer(5, 2) + integer(13, 4) + integer(14, 5) + chunk(7, b"\x0a\x01x")
    conv += chunk(4, varint(3) + varint(7))  # kernel_size, packed, once a dimension
    connected = {"bottoms": ["data", "more"], "tops": ["conv"]}
    unknown = integer(12345, 1) + chunk(146, b"\xff\xff") + float32(500, 2.0)
    write, kind, param = (v1_layer, 4, 10) if old else (layer, "Convolution", 106)
    content = write("conv", kind, [blob(VALUES)], **connected, extra=unknown + chunk(param, conv))
    model = _read(tmp_path, chunk(1, "net") + chunk(6, b"\x08\x01") + content + chunk(31, "tail"))
    (found,) = model.layers
    assert (model.name, found.type, found.bottoms, found.tops) == ("net", "Convolution", ("data", "more"), ("conv",))
    assert found.settings == {"kernel": (3, 7), "stride": (4, 5), "pad": (2, 2), "group": 2, "dilation": (1, 1)}


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8),
            st.lists(st.integers(1, 4), max_size=4),
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_any_net_written_by_hand_reads_back(folder: Path, spec, old: bool) -> None:
    arrays = [np.random.default_rng(i).standard_normal(dims).astype(np.float32) for i, (_, dims) in enumerate(spec)]
    write = (lambda name, b: v1_layer(name, 14, [b])) if old else (lambda name, b: layer(name, "InnerProduct", [b]))
    content = b"".join(write(name, blob(array)) for (name, _), array in zip(spec, arrays, strict=True))
    model = _read(folder, content)
    assert [found.name for found in model.layers] == [name for name, _ in spec]
    for found, array in zip(model.layers, arrays, strict=True):
        np.testing.assert_array_equal(found.blobs[0], array, strict=True)


@pytest.mark.parametrize("name", ["activity_thin", "caption_1u", "caption_2u", "caption_2f"])
def test_files_that_caffe_wrote_hold_the_weights_they_were_given(name: str) -> None:
    model = read_caffemodel(GOLDEN / f"{name}.caffemodel")
    assert model.name == name
    checked = 0
    for found in model.layers:
        for i, values in enumerate(found.blobs):
            expected = rule_blob(found.name, i, values.shape)
            np.testing.assert_array_equal(values, expected, strict=True)
            checked += 1
    assert checked == {"activity_thin": 17, "caption_1u": 7, "caption_2u": 10, "caption_2f": 10}[name]


@pytest.mark.parametrize("name", ["activity_thin", "caption_1u", "caption_2u", "caption_2f"])
def test_a_prototxt_says_what_its_caffemodel_says(name: str) -> None:
    binary, text = read_caffemodel(GOLDEN / f"{name}.caffemodel"), read_prototxt(GOLDEN / f"{name}.prototxt")
    assert text.input_px == binary.input_px
    described = {found.name: (found.type, found.tops, found.settings) for found in binary.layers}
    for found in text.layers:
        kind, tops, stored = described[found.name]
        assert (found.type, found.tops) == (kind, tops)
        assert found.settings.items() <= stored.items() or not found.settings


def test_a_prototxt_decides_which_layers_there_are(tmp_path: Path) -> None:
    content = b"".join(layer(name, "InnerProduct", [blob(VALUES)], bottoms=["x"], tops=[name]) for name in "abc")
    (tmp_path / "net.caffemodel").write_bytes(content)
    (tmp_path / "net.prototxt").write_text('layers { name: "b" type: INNER_PRODUCT bottom: "y" top: "z" }')
    model = read_net(tmp_path / "net.caffemodel", tmp_path / "net.prototxt")
    assert [(found.name, found.bottoms, len(found.blobs)) for found in model.layers] == [
        ("b", ("y",), 1),
        ("a", (), 1),
        ("c", (), 1),
    ]


def test_old_prototxt_with_phases_comments_and_unknown_fields_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'ame: "a slip"\ninput: "data"\ninput_dim: 10 input_dim: 3 input_dim: 227 input_dim: 227\n'
        "# layers { comment }\n"
        'layers { name: "c" type: CONVOLUTION blobs_lr: 1 include: { phase: TRAIN stage: "x" }\n'
        '  bottom: "data" top: "c" convolution_param { kernel_size: 7 weight_filler { type: "gaussian" } } }\n'
        'layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 } }'
    )
    model = read_prototxt(path)
    assert model.input_px == 227
    assert [(found.name, found.type) for found in model.layers] == [("c", "Convolution"), ("p", "Pooling")]
    assert model.layers[1].settings == {"pool": "AVE", "kernel": (3, 2), "stride": (1, 1), "pad": (0, 0)}


WHOLE = layer("ip", "InnerProduct", [blob(VALUES)])
DAMAGED = {
    "empty": (b"", "is empty"),
    "text": (b"Not found: the page moved\n", "a text file, not a caffemodel .did its download fail"),
    "prototxt": ((GOLDEN / "activity_thin.prototxt").read_bytes(), "text file.*--prototxt"),
    "random": (np.random.default_rng(5).bytes(5000), "not a caffemodel, or cut short or damaged"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5.*BINARYPROTO"),
    "cut short": (WHOLE[:-3], "cut short or damaged"),
    "no layers": (chunk(1, "net"), "no weights"),
    "no weights": (layer("ip", "InnerProduct"), "1 layers, no weights"),
    "too few numbers": (layer("ip", "InnerProduct", [shape((2, 4)) + chunk(5, PACKED)]), "'ip' blob 0 holds 6 numbers"),
    "half a number": (layer("ip", "InnerProduct", [shape((2, 3)) + chunk(5, PACKED[:-2])]), "cut short or damaged"),
    "negative shape": (layer("ip", "InnerProduct", [shape((-2, -3)) + chunk(5, PACKED)]), "'ip' blob 0"),
    "huge shape": (layer("ip", "InnerProduct", [shape((2**62, 2**62)) + chunk(5, PACKED)]), "'ip' blob 0"),
    "not a number": (layer("ip", "InnerProduct", [blob(VALUES * np.nan)]), "'ip' blob 0 .*not finite"),
    "before V1": (chunk(2, chunk(1, b"\x0a\x01x") + chunk(6, blob(VALUES))), "format of 2013"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_gives_one_line(tmp_path: Path, kind: str) -> None:
    content, message = DAMAGED[kind]
    with pytest.raises(ModelFileError, match=message) as caught:
        _read(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "net.caffemodel"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_caffemodel, read_prototxt])
def test_a_missing_file_or_a_folder_gives_one_line(tmp_path: Path, read) -> None:
    with pytest.raises(ModelFileError, match="No such file"):
        read(tmp_path / "absent")
    with pytest.raises(ModelFileError, match="directory"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"layer { name: ", "line 1: not a prototxt"),
        (b'name: "x"\nlayer { name: 5 }', "line 2: not a prototxt"),
        (b"\xff\xfe\x00", "no text file"),
        (b"", "holds no layers"),
        (b'net: "train.prototxt" base_lr: 0.1', "holds no layers"),
    ],
)
def test_a_wrong_prototxt_gives_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_prototxt(path)
    assert "\n" not in str(caught.value)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_cut_or_changed_files_are_read_or_refused(folder: Path, data) -> None:
    content = bytearray((GOLDEN / "caption_1u.caffemodel").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        # the first bytes hold names and connections, the last ones another layer; between them lie numbers
        place = data.draw(st.integers(0, 200) | st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with contextlib.suppress(ModelFileError):  # any other error, or a crash, fails
        _read(folder, bytes(content))
