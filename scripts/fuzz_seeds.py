"""Good files of every kind that lrcn reads, made on the spot, and what reads them: the targets of `scripts/fuzz.py`."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from scripts.fuzz import Target

from lrcn import model_file
from lrcn.annotations.formats import FORMATS, read_annotations, write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.caffe.importing import import_caffe
from lrcn.cli.settings import read_settings
from lrcn.config import (
    BackboneConfig,
    CaptioningConfig,
    CaptioningHeader,
    ModelHeader,
    PreprocessConfig,
    RecognitionConfig,
    RecognitionHeader,
)
from lrcn.data.captioning.readers import read_caption_data
from lrcn.data.captioning.vectors import read_vectors
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.features import FeatureCache, Part, VideoFeatures
from lrcn.graphs.exported import DESCRIPTION, SCHEMA, read_exported
from lrcn.inference.recognition.kept_windows import KeptWindows
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.models.backbones import build_backbone
from lrcn.models.captioning import CaptioningModel
from lrcn.models.recognition import RecognitionModel
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.run_folder import RunFolder
from lrcn.training.run_state import RunState, load_checkpoint, save_checkpoint
from lrcn.video.flow_file import FlowTag, read_flow_tag, write_flow_file
from lrcn.video.images import open_still
from lrcn.video.read import probe, read_frames
from lrcn.video.resize import Frames

_BACKBONE = BackboneConfig(
    name="caffenet",
    layer="fc6",
    sizes={**{f"conv{number}": 4 for number in range(1, 6)}, "fc6": 8, "fc7": 8, "input_px": 67},
)

_VIDEOS = {
    "a.mp4": ("libx264", "yuv420p"),
    "b.mkv": ("ffv1", "bgr0"),
    "c.avi": ("mpeg4", "yuv420p"),
    "d.ts": ("mpeg2video", "yuv420p"),
    "e.flv": ("flv", "yuv420p"),
    "f.wmv": ("wmv2", "yuv420p"),
    "g.mov": ("png", "rgb24"),
    "h.webm": ("libvpx-vp9", "yuv420p"),
    "i.gif": ("gif", "rgb8"),
    "k.mpg": ("mpeg1video", "yuv420p"),
    "l.h264": ("libx264", "yuv420p"),
    "m.nut": ("mjpeg", "yuvj420p"),
}

_HOSTILE: tuple[Any, ...] = (
    0,
    -1,
    1,
    2**31,
    2**62,
    2**64,
    10**30,
    1e308,
    -1e308,
    1e-320,
    float("inf"),
    float("nan"),
    True,
    None,
    "",
    "a" * 5000,
    [],
    {},
    [[]],
    [1] * 5000,
    100_000,
    0.5,
    "../../x",
    "timm/resnet50",
    "lstm+lstm",
    "\x1b[2J",
    "\ud800",
)


def make_targets(folder: Path) -> list[Target]:
    """Write all seeds below a folder, and return the targets."""
    beside = folder / "damaged"
    beside.mkdir(parents=True, exist_ok=True)
    places = {name: folder / name for name in ("video", "image", "model", "text", "other", "cache", "export", "caffe")}
    for place in places.values():
        place.mkdir(exist_ok=True)
    videos = _videos(places["video"])
    images = _images(places["image"])
    for source, name in ((videos[0], "v.mp4"), (videos[0], "w.mp4"), (images[0], "p.jpg"), (images[0], "q.jpg")):
        for place in (beside, places["text"]):
            shutil.copyfile(source, place / name)  # what lists name
    for place in (beside, places["text"]):
        for label, name in (("walk", "v"), ("jump", "w")):
            (place / label).mkdir(exist_ok=True)
            shutil.copyfile(videos[0], place / label / f"{name}_000000_000001.mp4")  # as Kinetics names them
    models = _models(places["model"])
    caffemodels, prototxts = _caffe(places["caffe"])
    return [
        Target("video", videos, _look),
        Target("image", images, _look),
        Target("flow", [_flow(places["other"])], _flow_tag),
        Target("model", models, _state, checked=True),
        Target("model-signed", models, _load, change=_resigned_model),
        Target("export", [_export(places["export"])], _exported, checked=True),
        Target("export-signed", [_export(places["export"])], _exported, change=_resigned_export),
        Target("annotations", _annotations(places["text"]), read_annotations),
        Target("clips", _clip_lists(places["text"]), partial(read_recognition_data, skip_missing=True)),
        Target("captions", _caption_lists(places["text"]), partial(read_caption_data, skip_missing=True)),
        Target("settings", _settings(places["text"]), _read_settings),
        Target("ckpt", [_checkpoint(places["other"])], _checkpoint_content, checked=True),
        Target(
            "features", _cache(places["cache"], videos[0]), partial(_cached, places["cache"], videos[0]), checked=True
        ),
        Target(
            "windows",
            [_windows(folder / "windows", videos[0])],
            partial(_kept, folder / "windows", videos[0]),
            checked=True,
        ),
        Target("vectors", _vectors(places["other"]), read_vectors),
        Target("pth", _state_dicts(places["other"]), _load_backbone),
        Target("caffe", caffemodels, partial(_imported, places["caffe"])),
        Target("prototxt", prototxts, partial(_imported, places["caffe"])),
        Target("run", [_run(places["other"])], lambda path: RunFolder(path.parent).read_run()),
    ]


def _frames(count: int = 6, height: int = 32, width: int = 48) -> Frames:
    t, y, x, c = np.ogrid[:count, :height, :width, :3]
    return ((t * 9 + y * 5 + x * 3 + c * 40) % 256).astype(np.uint8)


def _videos(folder: Path) -> list[Path]:
    made = []
    for name, (codec, pixel_format) in _VIDEOS.items():
        if codec not in av.codecs_available:
            continue
        try:
            with av.open(str(folder / name), "w") as container:
                stream = container.add_stream(codec, rate=25)
                stream.height, stream.width = 32, 48
                stream.pix_fmt = pixel_format
                stream.time_base = Fraction(1, 25)
                for pixels in _frames():
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
                container.mux(stream.encode(None))
        except (av.FFmpegError, ValueError):
            (folder / name).unlink(missing_ok=True)  # this ffmpeg cannot write it
            continue
        made.append(folder / name)
    raw = b"YUV4MPEG2 W16 H16 F25:1 C420\n" + 3 * (b"FRAME\n" + bytes(range(128)) * 3)
    (folder / "q.y4m").write_bytes(raw)
    return [*made, folder / "q.y4m"]


def _images(folder: Path) -> list[Path]:
    still, alpha = Image.fromarray(_frames()[0]), Image.fromarray(_frames()[0]).convert("RGBA")
    exif = Image.Exif()
    exif[0x0112] = 6
    still.save(folder / "a.jpg", exif=exif)
    still.save(folder / "b.jpg", progressive=True, dpi=(72, 72))
    alpha.save(folder / "c.png", exif=exif)
    still.convert("P").save(folder / "d.png")
    still.convert("I;16").save(folder / "e.png")
    alpha.save(folder / "f.webp", lossless=True)
    others = [Image.fromarray(pixels) for pixels in _frames()[1:4]]
    still.save(folder / "g.webp", save_all=True, append_images=others, duration=50)
    still.save(folder / "h.gif", save_all=True, append_images=others, duration=50)
    still.save(folder / "i.avif")
    still.save(folder / "j.avif", save_all=True, append_images=others)
    still.save(folder / "t.png", save_all=True, append_images=others, duration=50)
    still.save(folder / "k.bmp")
    for name, packing in (("l.tif", "raw"), ("m.tif", "tiff_lzw"), ("n.tif", "tiff_adobe_deflate"), ("o.tif", "jpeg")):
        still.save(folder / name, compression=packing)
    still.save(folder / "p.ppm")
    still.convert("L").save(folder / "q.pgm")
    still.convert("CMYK").save(folder / "r.jpg")
    _heic(folder / "s.heic")
    return sorted(folder.iterdir())


def _heic(path: Path) -> None:
    """Write a HEIC of one HEVC picture, as tests make tiled ones."""
    try:
        from tests.video.tiled_images import write_tiled

        write_tiled(path, _frames(1, 64, 64)[0], tile=64)
    except (ImportError, av.FFmpegError, ValueError):
        path.unlink(missing_ok=True)


def _look(path: Path) -> object:
    still = open_still(path)
    if still is not None:
        still.close()
    probe(path)
    return sum(len(chunk.frames) for chunk in read_frames(path, resize=16, on_warning=lambda text: None))


def _flow(folder: Path) -> Path:
    path = folder / "a.flow.mkv"
    write_flow_file(path, list(_frames(3)), fps=10, tag=FlowTag("dis", 10.0, 32))
    return path


def _flow_tag(path: Path) -> object:
    return read_flow_tag(path), _look(path)


def _models(folder: Path) -> list[Path]:
    pixels = PreprocessConfig(resize=72, crop=67, clip_length=4, clip_stride=2)
    recognition = RecognitionConfig(backbone=_BACKBONE, num_classes=2, hidden_size=4)
    captioning = CaptioningConfig(backbone=_BACKBONE, vocabulary_size=6, embedding_size=4, hidden_size=4)
    headers: tuple[ModelHeader, ...] = (
        RecognitionHeader(model=recognition, preprocess=pixels, labels=("walk", "jump")),
        CaptioningHeader(model=captioning, preprocess=pixels, vocabulary=("a", "dog")),
    )
    for header, make in zip(headers, (RecognitionModel, CaptioningModel), strict=True):
        network = make(header.model)  # type: ignore[arg-type]
        model_file.save(folder / f"{header.task}.safetensors", header, network.state_dict())
    return sorted(folder.iterdir())


def _load(path: Path) -> tuple[Any, Any]:
    return model_file.load(path, task=model_file.stated_task(path))


def _state(path: Path) -> str:
    header, network = _load(path)
    digest = hashlib.sha256(repr(header).encode())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _changed(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one of its leaves, or one entry, changed."""
    if isinstance(value, dict) and value and rng.random() < 0.97:
        key = rng.choice(list(value))
        changed = dict(value)
        if rng.random() < 0.03:
            del changed[key]
        else:
            changed[key] = _changed(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [_changed(one, rng) if i == at else one for i, one in enumerate(value)]
    return rng.choice(_HOSTILE)


def _resigned_model(content: bytes, rng: random.Random) -> bytes:
    """Change the header of a model file, or the shapes of its tensors, and put the right digest in."""
    length = int.from_bytes(content[:8], "little")
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    fields = json.loads(header["__metadata__"]["lrcn"])
    zeros = "0" * 64
    if rng.random() < 0.8:
        part = rng.choice(("model", "model", "preprocess", None))
        for _ in range(rng.choice((1, 1, 2))):
            fields = _changed(fields, rng) if part is None else {**fields, part: _changed(fields[part], rng)}
            if not isinstance(fields, dict):
                fields = {"lrcn": fields}
    else:
        name = rng.choice([key for key in header if key != "__metadata__"])
        header[name] = _changed(header[name], rng)
    fields["sha256"] = zeros
    header["__metadata__"]["lrcn"] = json.dumps(fields)
    packed = json.dumps(header).encode()
    whole = len(packed).to_bytes(8, "little") + packed + rest
    return whole.replace(zeros.encode(), hashlib.sha256(whole).hexdigest().encode())


def _export(folder: Path) -> Path:
    header = RecognitionHeader(
        model=RecognitionConfig(num_classes=2), preprocess=PreprocessConfig(), labels=("walk", "jump"), sha256="ab" * 32
    )
    (folder / "backbone.onnx").write_bytes(b"graph")
    fields = {
        "format": "onnx",
        "precision": "fp32",
        "state": {"h": [1, -1, 4]},
        "context_state": {},
        "versions": {"onnx": "1"},
        "parity": {"features": 0.0},
        "files": {"backbone.onnx": hashlib.sha256(b"graph").hexdigest()},
        "header": model_file.header_to_dict(header),
    }
    (folder / DESCRIPTION).write_text(_described_fields(fields))
    return folder / DESCRIPTION


def _described_fields(fields: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return json.dumps({"schema": SCHEMA, "sha256": digest, **fields})


def _resigned_export(content: bytes, rng: random.Random) -> bytes:
    fields = json.loads(content)
    del fields["schema"], fields["sha256"]
    changed = _changed(fields, rng)
    return _described_fields(changed if isinstance(changed, dict) else {"format": changed}).encode()


def _exported(path: Path) -> str:
    (path.parent / "backbone.onnx").write_bytes(b"graph")
    found = read_exported(path.parent)
    return repr((found.header, found.state, found.files, found.parity))


def _annotations(folder: Path) -> list[Path]:
    bouts = (Bout("walk", 0.0, 1.5, "m", ("fast",), "so", 0.5), Bout("jump", 2.0, 3.25))
    recording = Recording("v", Path("v.mp4"), bouts, WHOLE, 10.0, 25.0, split="train")
    made = Annotations("made", (recording,), ("walk", "jump"), (), 2, 0, ())
    for name, form in FORMATS.items():
        if form.write is not None and form.read is not None:
            write_annotations(made, folder / f"annotations-{name}{form.suffix}", format=name)
    cvat = (
        "<annotations><version>1.1</version><meta><task><id>1</id><name>v</name><size>100</size><start_frame>0</start_frame>"
        "<stop_frame>99</stop_frame><frame_filter>step=2</frame_filter><source>v.mp4</source></task></meta>"
        '<track id="0" label="walk"><box frame="0" outside="0" keyframe="1"><attribute name="sex">f</attribute></box>'
        '<box frame="9" outside="1" keyframe="1"/></track><image id="3" name="v"><tag label="jump"/></image>'
        "</annotations>"
    )
    detections = [{"label": 1, "support": [1, 20], "confidence": 0.5}, {"label": "jump", "timestamps": [1.25, 3]}]
    database = {
        "v": {"subset": "training", "duration": 10, "annotations": [{"label": "walk", "segment": [0, 1.5]}]},
        "w": {
            "subset": "validation",
            "duration": 10,
            "annotations": [{"label": "walk", "segment": [2, 3], "score": 0.5}],
        },
    }
    boris = (
        "Observation id\tone\t\t\nMedia file(s)\t\t\nPlayer #1\tv.mp4\t\nTime\tMedia file path\tTotal length\tFPS\t"
        "Subject\tBehavior\tBehavioral category\tComment\tStatus\n1.0\tv.mp4\t60.0\t25.0\tm\twalk\t\t\tSTART\n"
        "0:00:02.5\tv.mp4\t60.0\t25.0\tm\twalk\t\t\tSTOP\n"
    )
    for name, text in {
        "annotations-cvat.xml": cvat,
        "annotations-fiftyone.json": json.dumps({"classes": ["jump", "walk"], "labels": {"v": detections}}),
        "annotations-database.json": json.dumps({"version": "1.3", "database": database}),
        "annotations-track.txt": "0.0\t1.5\twalk\n2.0\t3.25\tjump\n",
        "annotations-boris.tsv": boris,
    }.items():
        (folder / name).write_text(text)
    return sorted(folder.glob("annotations-*"))


def _clip_lists(folder: Path) -> list[Path]:
    database = {"v": {"subset": "training", "annotations": [{"label": "walk", "segment": [0, 0.1]}]}}
    rows = {
        "clips-a.csv": "path,label,split,start_s,end_s,group\nv.mp4,walk,train,0,0.1,a\nw.mp4,jump,val,,,b\n",
        "clips-b.csv": "label,youtube_id,time_start,time_end,split\nwalk,v,0,1,train\njump,w,0,1,val\n",
        "clips-c.json": json.dumps({"database": database}),
    }
    for name, text in rows.items():
        (folder / name).write_text(text)
    return sorted(folder.glob("clips-*"))


def _caption_lists(folder: Path) -> list[Path]:
    images = [{"id": 1, "file_name": "p.jpg"}, {"id": 2, "file_name": "q.jpg"}]
    coco = {"images": images, "annotations": [{"id": 1, "image_id": 1, "caption": "a dog runs"}]}
    sentence = {"raw": "a dog runs", "tokens": ["a", "dog", "runs"], "sentid": 1}
    karpathy = {
        "images": [{"filename": "p.jpg", "filepath": "", "split": "train", "imgid": 0, "sentences": [sentence]}]
    }
    msrvtt = {
        "videos": [{"video_id": "v", "split": "train", "start time": 0.0, "end time": 1.0}],
        "sentences": [{"video_id": "v", "caption": "a dog runs", "sen_id": 1}],
    }
    for name, text in {
        "captions_train2014.json": json.dumps(coco),
        "captions-karpathy.json": json.dumps(karpathy),
        "captions-msrvtt.json": json.dumps(msrvtt),
        "captions-msvd.json": json.dumps({"v": ["a dog runs", "a dog is running"]}),
        "captions-a.csv": "path,caption,split,start_s,end_s\np.jpg,a dog runs,train,,\nv.mp4,a man walks,val,0,0.1\n",
        "captions.txt": "image,caption\np.jpg,a dog runs .\nq.jpg,a man walks .\n",
        "captions-results.token.txt": "p.jpg#0\ta dog runs .\nq.jpg#0\ta man walks .\n",
    }.items():
        (folder / name).write_text(text)
    return sorted(folder.glob("captions*"))


def _settings(folder: Path) -> list[Path]:
    import yaml

    made = []
    for settings in (RecognitionTrainingConfig(), CaptioningTrainingConfig()):
        path = folder / f"settings-{settings.task}.yaml"
        path.write_text(yaml.safe_dump(settings.to_dict(), sort_keys=False))
        made.append(path)
    return made


def _read_settings(path: Path) -> object:
    kind = RecognitionTrainingConfig if "recognition" in path.name else CaptioningTrainingConfig
    return kind(**read_settings(path, kind))


def _checkpoint(folder: Path) -> Path:
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    weights = {name: value.detach() for name, value in network.state_dict().items()}
    state = RunState(step=7, history=[{"epoch": 1.0, "train_loss": 0.3}])
    save_checkpoint(folder / "last.ckpt", state, model=weights, best=weights, optimizer=optimizer, precision={})
    return folder / "last.ckpt"


def _checkpoint_content(path: Path) -> str:
    return repr(load_checkpoint(path))


def _cache(folder: Path, video: Path) -> list[Path]:
    features = torch.arange(24, dtype=torch.float32).reshape(1, 4, 6) / 7 + 1
    encoded = VideoFeatures(features, np.arange(4) / 10, 0.4, ("so",))
    FeatureCache(folder, "a" * 64).put(Part(video), encoded)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _cached(good: Path, video: Path, path: Path) -> object:
    place = good.with_name("cache-read")
    shutil.copytree(good, place, dirs_exist_ok=True)
    (original,) = good.rglob(path.name)
    shutil.copyfile(path, place / original.relative_to(good))
    found = FeatureCache(place, "a" * 64).get(Part(video))
    if found is None:
        return None
    return found.features.numpy().tobytes(), found.times_s.tobytes(), found.duration_s, found.warnings


def _windows(folder: Path, video: Path) -> Path:
    windows = WindowProbs(((0, 4), (2, 6)), np.full((2, 3), 1 / 3, np.float32), np.arange(6) / 10, 0.6, ())
    KeptWindows(folder, {"model": "m"}).put(video, [windows])
    (path,) = folder.iterdir()
    return path


def _kept(folder: Path, video: Path, path: Path) -> object:
    place = folder.with_name("windows-read")
    place.mkdir(exist_ok=True)
    shutil.copyfile(path, place / path.name)
    found = KeptWindows(place, {"model": "m"}).get(video)
    if found is None:
        return None
    return [
        (one.windows, one.probs.tobytes(), one.times_s.tobytes(), one.duration_s, one.warnings, one.subject)
        for one in found
    ]


def _vectors(folder: Path) -> list[Path]:
    tensors = {"a": torch.ones(4), "b": torch.ones(3, 4, dtype=torch.float16)}
    save_file(tensors, folder / "vectors.safetensors")
    (folder / "vectors.csv").write_text("id,x,y\na,1,2.5\nb,-1e3,0\n")
    return [folder / "vectors.safetensors", folder / "vectors.csv"]


def _state_dicts(folder: Path) -> list[Path]:
    trunk = build_backbone(_BACKBONE, weights="none").trunk
    torch.save(trunk.state_dict(), folder / "weights.pth")
    torch.save(trunk.state_dict(), folder / "weights-old.pth", _use_new_zipfile_serialization=False)
    (folder / "weights-byte.pth").write_bytes(b"\x80")
    save_file({name: value.contiguous() for name, value in trunk.state_dict().items()}, folder / "weights.safetensors")
    return sorted(folder.glob("weights*"))


def _load_backbone(path: Path) -> object:
    return build_backbone(_BACKBONE, weights=path)


_GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "caffe"
"""The nets of the Caffe tests, whose weights are small."""


def _caffe(folder: Path) -> tuple[list[Path], list[Path]]:
    names = [f"{net}.{kind}" for kind in ("caffemodel", "prototxt") for net in ("activity_thin", "caption_2f")]
    made = [Path(shutil.copyfile(_GOLDEN / name, folder / name)) for name in names]
    return made[:2], made[2:]


def _imported(folder: Path, path: Path) -> object:
    """Import a net; of a prototxt, with the weights that belong to it."""
    weights = path if path.suffix == ".caffemodel" else folder / f"{path.stem}.caffemodel"
    prototxt = path if path.suffix == ".prototxt" else None
    labels = path.with_name("words.txt") if "caption" in path.name else None
    if labels is not None:
        labels.write_text("\n".join(f"word{number}" for number in range(22)))
    return import_caffe(weights, labels=labels, prototxt=prototxt, output=path.with_name("imported.safetensors"))


def _run(folder: Path) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps({"command": "lrcn train", "data": {"fingerprint": "a"}, "backbone": {"sha256": "b"}}))
    return path
