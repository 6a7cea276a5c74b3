"""Frames to backbone features, each frame through the CNN once, and a cache of them on disk.

Shapes: V views, T frames of a video, N frames of a chunk, D feature size.
"""

from __future__ import annotations

import copy
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lrcn.bouts import Region
from lrcn.config import BackboneConfig, PreprocessConfig
from lrcn.devices import has_native_bf16
from lrcn.encoding import FrameEncoder, encode_chunks
from lrcn.errors import ConfigError, MediaError
from lrcn.files import parse_json, replacing, sweep_cache, write_json
from lrcn.models.batch_norm import fold_batch_norm
from lrcn.video.inputs import Source as Source
from lrcn.video.transforms import Preprocess
from lrcn.video.views import CENTER_VIEW, View

_FORMAT = 2
"""Raise it when features of the same video, weights and settings come out differently."""


Precision = Literal["fp32", "bf16"]
"""Of a CNN in torch."""


@dataclass(frozen=True)
class VideoFeatures:
    """Features of a whole video, or of the part of it that was asked for."""

    features: Tensor
    """`(V, T, D)` float32."""
    times_s: NDArray[np.float64]
    """When each frame is shown, `(T,)`, from the start of the video."""
    duration_s: float
    """When the last frame ends, from the start of the video."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A file or part of it, and the looks at it whose features are wanted."""

    path: Path
    views: tuple[View, ...] = (CENTER_VIEW,)
    start_s: float = 0.0
    end_s: float | None = None
    roi: Region | None = None
    """Where in the picture to look; None for all of it."""


class _ConfigWithBackbone(Protocol):
    @property
    def backbone(self) -> BackboneConfig | None: ...


class HasBackbone(Protocol):
    """A model that looks at frames, such as `RecognitionModel`; a captioning model may have no backbone."""

    @property
    def config(self) -> _ConfigWithBackbone:
        """Says in `backbone` what the backbone was built from."""

    @property
    def backbone(self) -> nn.Module | None:
        """Frames `(N, 3, H, W)` to features `(N, D)`."""


class TorchEncoder(FrameEncoder):
    """A backbone in eager torch; with `bf16` its weights and activations are bfloat16, its features float32."""

    def __init__(
        self,
        backbone: nn.Module,
        preprocess: PreprocessConfig,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        """Move the backbone to the device, in evaluation mode, and take its weights as they are now.

        Raises:
            ConfigError: If bfloat16 is wanted where the device has no instructions for it, or torch none of the
                network's operations in it (local response normalisation on CPUs).
        """
        target = torch.device(device)
        if precision == "bf16" and not has_native_bf16(target):
            raise ConfigError(f"runtime 'torch-bf16' needs bfloat16 instructions, which {target} has not; use: torch")
        self.name = "torch" if precision == "fp32" else f"torch-{precision}"
        self.device = str(target)
        self._preprocess = Preprocess(preprocess).to(target)
        # folded before it is rounded, because folding rounded weights would round them again
        self._backbone = fold_batch_norm(backbone.to(target).eval())
        self._dtype = next((p.dtype for p in backbone.parameters()), torch.float32)
        if precision == "bf16":
            # autocast would convert the weights again at each call: five times slower for single frames
            self._dtype = torch.bfloat16
            self._backbone = copy.deepcopy(self._backbone).to(self._dtype).eval()
            crop = preprocess.crop
            try:
                self.encode(np.zeros((1, crop, crop, 3), np.uint8), CENTER_VIEW)
            except (NotImplementedError, RuntimeError) as exc:
                reason = str(exc).partition("\n")[0]
                raise ConfigError(f"runtime 'torch-bf16' cannot run this network ({reason}); use: torch") from exc

    @torch.inference_mode()
    def encode(self, images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
        """As `FrameEncoder.encode`; the backbone is switched to evaluation mode."""
        return self.features(images, view).cpu().numpy()

    @torch.inference_mode()
    def features(self, images: NDArray[np.uint8], view: View) -> Tensor:
        """Do what `encode` does, and leave the features `(N, D)` on the device; float32."""
        self._backbone.eval()
        features: Tensor = self._backbone(self._preprocess(images, view).to(self._dtype))
        return features.float()


def features_key(model: HasBackbone, preprocess: PreprocessConfig, runtime: str = "torch") -> str:
    """Return a hash of all that decides what features come out: weights, feature layer, pixels and runtime.

    Raises:
        ConfigError: If the model has no backbone.
    """
    if model.backbone is None or model.config.backbone is None:
        raise ConfigError("this model has no backbone: it reads ready vectors, not pictures")
    pixels = asdict(preprocess)
    for name in ("clip_length", "clip_stride", "vectors", *(() if pixels["stream"] == "flow" else ("flow_method",))):
        del pixels[name]
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(model.config.backbone), pixels, runtime]).encode())
    for name, value in sorted(model.backbone.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def encode_video(
    source: Source,
    encoder: FrameEncoder,
    preprocess: PreprocessConfig,
    views: Sequence[View] = (CENTER_VIEW,),
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
    batch_size: int = 64,
) -> VideoFeatures:
    """Return the features of a whole video: every sampled frame is decoded once and encoded once per view.

    Arguments and errors are those of `encode_chunks`, of which each holds `batch_size` frames.
    """
    warnings: list[str] = []
    chunks = list(
        encode_chunks(
            source,
            encoder.encode,
            preprocess,
            views,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            chunk_size=batch_size,
            on_warning=warnings.append,
        )
    )
    return VideoFeatures(
        features=torch.from_numpy(np.concatenate([np.stack(chunk.features) for chunk in chunks], axis=1)),
        times_s=np.concatenate([chunk.times_s for chunk in chunks]),
        duration_s=chunks[-1].end_s,
        warnings=tuple(warnings),
    )


class FeatureCache:
    """Features on disk, float16: for each part of a video and each view one `.npy` and one small `.json`.

    Files appear whole or not at all, so that an interrupted extraction goes on where it stopped; a checksum notices
    what was damaged since. An entry is found by the content of the video, not its name, and by everything that decides
    its features.
    """

    def __init__(self, root: Path, key: str) -> None:
        """Take the folder, made when needed, and `features_key`."""
        self._dir = root / key[:32]
        sweep_cache(self._dir)

    def get(self, part: Part) -> VideoFeatures | None:
        """Return the features of its views, or None if one of them is missing or damaged."""
        stems = self._stems(part)
        features = []
        try:
            for stem in stems:
                entry = parse_json(stem.with_suffix(".json").read_text(encoding="utf-8"))
                rows = np.load(stem.with_suffix(".npy"), allow_pickle=False)
                if entry.pop("crc32") != _checksum(entry, rows):
                    return None
                times_s = np.array(entry["times_s"], dtype=np.float64)
                duration_s, warnings = float(entry["duration_s"]), tuple(map(str, entry["warnings"]))
                if rows.ndim != 2 or times_s.shape != rows.shape[:1]:
                    return None
                features.append(rows)
            return VideoFeatures(torch.from_numpy(np.stack(features)).float(), times_s, duration_s, warnings)
        except Exception:  # not there, or damaged: NumPy, too, raises whatever it trips over. It is made again
            return None

    def has(self, part: Part) -> bool:
        """Whether the files of its views are there; `get` finds out whether they are whole."""
        return all(stem.with_suffix(suffix).is_file() for stem in self._stems(part) for suffix in (".npy", ".json"))

    def files(self, part: Part) -> tuple[Path, ...]:
        """Return where the features `(T, D)` of each view are kept, there or not."""
        return tuple(stem.with_suffix(".npy") for stem in self._stems(part))

    def put(self, part: Part, encoded: VideoFeatures) -> None:
        """Keep the features of its views."""
        features_of = half_precision(encoded.features).numpy()
        for view, stem, features in zip(part.views, self._stems(part), features_of, strict=True):
            entry = {
                "source": part.path.name,
                "content": content_hash(part.path),
                "view": asdict(view),
                "start_s": part.start_s,
                "end_s": part.end_s,
                "roi": part.roi,
                "times_s": encoded.times_s.tolist(),
                "duration_s": encoded.duration_s,
                "warnings": list(encoded.warnings),
            }
            entry["crc32"] = _checksum(entry, features)
            with replacing(stem.with_suffix(".npy")) as unfinished:
                np.save(unfinished, features)
            write_json(stem.with_suffix(".json"), entry)

    def _stems(self, part: Part) -> list[Path]:
        content = content_hash(part.path)
        names = [json.dumps([content, asdict(view), part.start_s, part.end_s, part.roi]) for view in part.views]
        return [self._dir / hashlib.sha256(name.encode()).hexdigest()[:32] for name in names]


def _checksum(entry: Mapping[str, Any], features: NDArray[Any]) -> int:
    """Return the CRC-32 of an entry without its checksum, and of the features `(T, D)` of its view."""
    said = json.dumps([sorted(entry.items()), str(features.dtype), features.shape])
    return zlib.crc32(np.ascontiguousarray(features).data, zlib.crc32(said.encode()))


def half_precision(features: Tensor) -> Tensor:
    """Return features as the cache holds them: float16 on the CPU, or float32 where float16 would overflow."""
    features = features.detach().cpu()
    half = features.half()
    return half if torch.isfinite(half).all() else features


def load_or_encode(
    encoder: FrameEncoder, preprocess: PreprocessConfig, cache: FeatureCache, part: Part
) -> VideoFeatures:
    """Return features from the cache, or encode the video and keep them; the same values either way, on the CPU.

    Raises:
        MediaError: If nothing can be decoded.
    """
    found = cache.get(part)
    if found is not None:
        return found
    encoded = encode_video(
        part.path, encoder, preprocess, part.views, start_s=part.start_s, end_s=part.end_s, roi=part.roi
    )
    cache.put(part, encoded)
    rounded = half_precision(encoded.features).float()
    return VideoFeatures(rounded, encoded.times_s, encoded.duration_s, encoded.warnings)


_hashes: dict[tuple[str, int, int], str] = {}


def content_hash(path: str | Path) -> str:
    """Return the sha256 of a file, or of the names and contents of the files in a folder of images.

    Raises:
        MediaError: If it cannot be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            parts = sorted(part for part in path.iterdir() if part.is_file())
            return hashlib.sha256("".join(f"{part.name} {content_hash(part)} " for part in parts).encode()).hexdigest()
        stat = path.stat()
        memo = (str(path), stat.st_size, stat.st_mtime_ns)
        if memo not in _hashes:
            with path.open("rb") as file:
                _hashes[memo] = hashlib.file_digest(file, "sha256").hexdigest()
        return _hashes[memo]
    except OSError as exc:
        raise MediaError(f"{path}: cannot be read ({exc.strerror})") from exc
