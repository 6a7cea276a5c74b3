"""The settings stored inside a model file: what the network is and what its pixels must look like.

Standard library only, so that `lrcn info` can read them without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from lrcn.errors import ConfigError

PACKAGED_BACKBONE = "efficientnet_lite0"
"""The one backbone whose ImageNet weights ship in this package."""

SCHEMA = 1
"""Version of the model file's header. Raise it with a migration in `model_file.py` when a field changes meaning."""

MAX_LAYERS, MAX_FPS, MAX_CLIP_LENGTH = 64, 1000.0, 2**16
"""Above what anybody trains: a model file that states more would keep the reader busy for hours, or fill its memory."""

VARIANTS = {"1u": (1, 0), "2u": (2, 0), "2f": (2, 1)}
"""Captioning variant -> LSTM layers, and the layer, counted from 0, whose input the context joins."""

RESERVED_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")
"""Tokens 0 to 3 of every vocabulary: padding, beginning, end, unknown word."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Which CNN looks at a frame, and where its feature is taken."""

    name: str = PACKAGED_BACKBONE
    """`efficientnet_lite0` (packaged), `caffenet`, `hybrid`, a torchvision name, or `timm/<name>`."""
    layer: str = ""
    """Feature layer: `fc6` and `fc7` (after their ReLU) or `fc8` where the network has them, or the name of any
    module; several with a + between them are joined; empty takes the last feature before the classifier."""
    grid: int = 1
    """A feature map `(C, H, W)` is averaged to `(C, grid, grid)` and flattened; a vector admits 1 alone."""
    sizes: dict[str, int] = field(default_factory=dict)
    """`caffenet` and `hybrid` only: sizes that differ from the released net, of `conv1` to `conv5` (channels), `fc6`
    to `fc8` (units) or `input_px`; empty takes the released net."""

    def __post_init__(self) -> None:
        _require(self.grid >= 1, f"grid must be at least 1, got {self.grid}")


def _check_vector_size(backbone: BackboneConfig | None, vector_size: int | None) -> None:
    _require((vector_size is None) == (backbone is not None), "vector_size goes with a null backbone and only with it")
    _require(vector_size is None or vector_size >= 1, f"vector_size must be at least 1, got {vector_size}")


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """What reads the features of frames: stored in a model file, and settings of its training."""

    head: str = "lstm"
    """What reads the features: `lstm` reads the frames in order; `frame` classifies each frame alone (the paper's
    single-frame net); `mean` classifies the mean feature of the clip; `statistics` its mean, spread and change; or one
    that `register_head` made known. Several with a + between them are averaged: `lstm+statistics`."""
    standardise: bool = False
    """Bring each value of the feature to mean 0 and deviation 1 over the training frames first (paper: no)."""
    readout: Literal["mean", "last"] = "mean"
    """Clip probabilities: the mean of the softmax over the clip's frames (paper), or the last frame's alone."""
    embedding_size: int | None = None
    """Values that a linear layer makes of each feature before the LSTM reads it; null lets the LSTM read the feature
    itself, as in the paper. Helps where features are long (a `grid` above 1) and clips are few."""
    embedding_kind: Literal["learnt", "principal"] = "learnt"
    """Whether that layer is trained with all else, or is the directions in which features and, the other half, their
    changes from frame to frame vary most over the training frames: found at once and fixed. With few clips a learnt
    one learns the scene by heart. Needs an `embedding_size` and a frozen CNN."""
    change_memory: tuple[float, ...] = ()
    """Give the LSTM, beside each feature (or its embedding), its change against running averages of the frames before,
    one for each number in [0, 1): the weight with which that average keeps what it was. 0 compares with the frame
    before, 0.9 with about the last ten; at a clip's first frame nothing has changed. Empty gives no change (paper).
    Motion that a frozen CNN shows only faintly becomes an input of its own."""
    hidden_size: int = 256
    """LSTM units (released UCF-101 nets: 256; the paper also tried 512 and 1024)."""
    num_layers: int = 1
    """Stacked LSTM layers (paper: 1)."""
    input_dropout: float = 0.5
    """Dropout on the backbone feature (released LSTM nets: 0.9)."""
    output_dropout: float = 0.5
    """Dropout before the classifier (released LSTM nets: 0.5)."""
    dropout_mask: Literal["clip", "frame"] = "clip"
    """Whether dropout takes away the same values in all frames of a clip, so that what changes over time is the video
    alone (Gal and Ghahramani 2016, arXiv:1512.05287), or others in each frame (the release)."""

    def head_settings(self) -> dict[str, Any]:
        """Return the fields above, by name."""
        return {field.name: getattr(self, field.name) for field in fields(HeadSettings)}

    def __post_init__(self) -> None:
        _require(self.hidden_size >= 1, f"hidden_size must be at least 1, got {self.hidden_size}")
        _require(1 <= self.num_layers <= MAX_LAYERS, f"num_layers must be 1 to {MAX_LAYERS}, got {self.num_layers}")
        _require(
            self.embedding_size is None or self.embedding_size >= 1,
            f"embedding_size must be at least 1 or null, got {self.embedding_size}",
        )
        _require(
            all(0.0 <= memory < 1.0 for memory in self.change_memory),
            f"change_memory must be numbers in [0, 1), got {self.change_memory}",
        )
        for name in ("input_dropout", "output_dropout"):
            value = getattr(self, name)
            _require(0.0 <= value < 1.0, f"{name} must be in [0, 1), got {value}")


@dataclass(frozen=True, kw_only=True)
class RecognitionConfig(HeadSettings):
    """The recognition network: a backbone looks at every frame, a head reads the sequence of its features."""

    backbone: BackboneConfig | None = field(default_factory=BackboneConfig)
    """Null for a model that reads ready vectors, one a frame."""
    vector_size: int | None = None
    """Values of a ready vector; given exactly where `backbone` is null."""
    num_classes: int
    multi_label: bool = False
    """Whether several classes, or none, may be shown at once: each has a probability of its own (the sigmoid of its
    logit), and they add up to anything. Else they are one by the softmax."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.num_classes >= 1, f"num_classes must be at least 1, got {self.num_classes}")
        _check_vector_size(self.backbone, self.vector_size)


@dataclass(frozen=True, kw_only=True)
class CaptioningConfig:
    """The captioning network: backbone feature of each frame -> context vector -> LSTM -> logits of the next word.

    An image is a video of one frame.
    """

    backbone: BackboneConfig | None = field(default_factory=BackboneConfig)
    """Null for a model that reads ready vectors, one or a sequence of them for each sentence."""
    vector_size: int | None = None
    """Size of the ready vectors; given exactly where `backbone` is null."""
    feature_norm: bool = False
    """Bring each feature to mean 0 and deviation 1 over its values first (released nets: no)."""
    projection_size: int = 0
    """Units of a linear layer, without activation, that each feature passes first; 0 for none. On `fc7` it is what
    `fc8` is in the released nets: 1000."""
    context: Literal["mean", "lstm"] = "mean"
    """How the features of several frames become one vector: their mean, or the last output of an LSTM layer that reads
    them in order (the paper's encoder; `hidden_size` units)."""
    variant: Literal["1u", "2u", "2f"] = "2f"
    """Where the context joins: the input of the only layer (`1u`), of the first of two (`2u`), or of the second, so
    that the first reads words alone (`2f`, the paper's best)."""
    vocabulary_size: int
    """Tokens: the words and the reserved ones."""
    embedding_size: int = 1000
    """Size of a word's vector (released: 1000)."""
    hidden_size: int = 1000
    """Units of every LSTM layer (paper: 1000)."""
    feature_dropout: float = 0.0
    """Dropout on each feature (released nets: 0.5, on fc7)."""
    embedding_dropout: float = 0.0
    """Dropout on the words' vectors (the release: 0.5 in its language model, none in the captioning nets)."""
    output_dropout: float = 0.0
    """Dropout before the word logits (the release: as `embedding_dropout`)."""

    def __post_init__(self) -> None:
        _check_vector_size(self.backbone, self.vector_size)
        _require(self.variant in VARIANTS, f"variant must be one of {', '.join(VARIANTS)}, got {self.variant!r}")
        _require(
            self.vocabulary_size > len(RESERVED_TOKENS),
            f"vocabulary_size must be above {len(RESERVED_TOKENS)}, got {self.vocabulary_size}",
        )
        for name, least in (("embedding_size", 1), ("hidden_size", 1), ("projection_size", 0)):
            value = getattr(self, name)
            _require(value >= least, f"{name} must be at least {least}, got {value}")
        for name in ("feature_dropout", "embedding_dropout", "output_dropout"):
            value = getattr(self, name)
            _require(0.0 <= value < 1.0, f"{name} must be in [0, 1), got {value}")


@dataclass(frozen=True, kw_only=True)
class VectorConfig:
    """What files of ready vectors hold, such as the places of an animal's body parts, a row for each frame."""

    names: tuple[str, ...] = ()
    """Of the values that a model reads, in their order; empty before any file was looked at."""
    fps: float | None = None
    """Rows, or frames, a second in files that do not tell it; null refuses those."""

    def __post_init__(self) -> None:
        _require(
            self.fps is None or 0 < self.fps <= MAX_FPS,
            f"rows a second must be above 0 and at most {MAX_FPS}, or null, got {self.fps}",
        )
        _require(len(set(self.names)) == len(self.names), "the names of a vector's values must differ from each other")


@dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """How a video becomes the backbone's input, and how its frames are grouped into clips."""

    stream: Literal["rgb", "flow", "vectors"] = "rgb"
    """`rgb` frames, `flow` images made from neighbouring frames, or ready `vectors`, which no CNN looks at: then what
    is said of pixels is not read."""
    vectors: VectorConfig | None = None
    """Given exactly where `stream` is `vectors`."""
    sample_fps: float | None = 10.0
    """Frames per second taken from the video, by time; null takes every frame (the paper: 30 fps video, all frames)."""
    resize: int | tuple[int, int] = 128
    """Short side in px with the aspect ratio kept, or `(height, width)` in px exactly (released RGB nets: 240, 320)."""
    crop: int = 112
    """Side in px of the square that is cropped out for the backbone (paper: 227)."""
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """Order of the channels the backbone was trained with (Caffe: bgr)."""
    mean: tuple[float, float, float] = (127.0, 127.0, 127.0)
    """Subtracted from each channel, in `channel_order`, in units of 0-255."""
    std: tuple[float, float, float] = (128.0, 128.0, 128.0)
    """Divides each channel after the mean, in units of 0-255 (Caffe nets: 1)."""
    clip_length: int = 16
    """Frames the LSTM is unrolled over (released UCF-101 nets: 16)."""
    clip_stride: int = 8
    """Frames between the starts of neighbouring clips (released UCF-101 nets: 8)."""
    flow_method: Literal["dis", "farneback", "raft"] = "dis"
    """Optical-flow method; read only where `stream` is `flow`."""
    release_quirks: bool = False
    """Do to the pixels what the authors' released code does by mistake, for numbers that may depend on it: squash
    training clips that are not mirrored instead of cropping them, never use a video's first RGB frame in training, keep
    the sign of mirrored flow. (The wrong red mean of the released LSTM nets, 128.68, stands in `mean`.)"""

    def __post_init__(self) -> None:
        _require(
            (self.vectors is not None) == (self.stream == "vectors"),
            "vectors must be given exactly where the stream is vectors",
        )
        _require(
            self.sample_fps is None or 0 < self.sample_fps <= MAX_FPS,
            f"sample_fps must be above 0 and at most {MAX_FPS}, or null, got {self.sample_fps}",
        )
        short = self.resize if isinstance(self.resize, int) else min(self.resize)
        _require(
            1 <= self.crop <= short, f"crop must be between 1 and the resized short side ({short}), got {self.crop}"
        )
        _require(min(self.std) > 0, f"std must be above 0, got {self.std}")
        _require(
            1 <= self.clip_length <= MAX_CLIP_LENGTH,
            f"clip_length must be 1 to {MAX_CLIP_LENGTH}, got {self.clip_length}",
        )
        _require(
            1 <= self.clip_stride <= self.clip_length,
            f"clip_stride must be between 1 and clip_length ({self.clip_length}), got {self.clip_stride}: "
            "a larger stride would skip frames silently",
        )


@dataclass(frozen=True, kw_only=True)
class BoutSettings:
    """How the probabilities of a recording's frames become bouts. What is a tuple has one entry a class."""

    smooth_s: float
    """The probabilities of a frame are the mean over so many seconds around it."""
    thresholds: tuple[float, ...]
    """A bout reaches this probability somewhere, in 0-1; the entry of `background` says nothing."""
    low_thresholds: tuple[float, ...]
    """It begins and ends where the probability crosses this one, at most the threshold."""
    shortest_s: tuple[float, ...]
    """What is shorter is no bout."""
    longest_gap_s: tuple[float, ...]
    """Two bouts of a class that are no further apart are one, unless another class is between them of which only one
    at a time can be shown."""
    lag_s: float = 0.0
    """How late the model notices that a behaviour begins or ends: an LSTM whose answer is the mean over its frames
    holds on to what it saw first."""

    def __post_init__(self) -> None:
        for name in ("smooth_s", "lag_s"):
            _require(getattr(self, name) >= 0, f"{name} must be at least 0, got {getattr(self, name)}")
        lengths = {
            len(values) for values in (self.thresholds, self.low_thresholds, self.shortest_s, self.longest_gap_s)
        }
        _require(len(lengths) == 1, f"bout settings of one class each are wanted, got {sorted(lengths)} entries")
        for high, low in zip(self.thresholds, self.low_thresholds, strict=True):
            _require(0 <= low <= high <= 1, f"thresholds must be 0 <= low <= high <= 1, got {low} and {high}")
        _require(min((*self.shortest_s, *self.longest_gap_s), default=0.0) >= 0, "times of bouts must be at least 0")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How the probabilities of a recognition model are corrected; found on clips that it was not trained on."""

    temperature: float = 1.0
    """Probabilities are taken to the power of 1 / temperature, and to the sum of 1 again: above 1 they come nearer to
    each other, below 1 they go apart."""
    unknown_below: float = 0.0
    """What shows none of the classes, as far as the model can tell: what has no class of at least this probability,
    in 0-1. 0 gives everything a class."""
    class_temperatures: tuple[float, ...] = ()
    """Of a `multi_label` model, one for each class, in place of the other: the probability p that a class is shown and
    1 - p are taken to the power of 1 / temperature, and to the sum of 1 again."""

    def __post_init__(self) -> None:
        for temperature in (self.temperature, *self.class_temperatures):
            _require(temperature > 0, f"temperature must be above 0, got {temperature}")
        _require(0 <= self.unknown_below <= 1, f"unknown_below must be in [0, 1], got {self.unknown_below}")


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What every model file says about itself, besides the weights."""

    schema: int = SCHEMA
    task: str
    model: object
    preprocess: PreprocessConfig | None
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: training configuration, data set, versions, date, licence, scores."""
    sha256: str = ""
    """Of the whole file with these 64 digits set to zero; filled in by `model_file.save`."""


@dataclass(frozen=True, kw_only=True)
class RecognitionHeader(_Header):
    """What the file of a recognition model says about itself."""

    task: Literal["recognition"] = "recognition"
    model: RecognitionConfig
    preprocess: PreprocessConfig
    labels: tuple[str, ...]
    """Class names; the position is the label id."""
    bouts: BoutSettings | None = None
    """How bouts are found, fitted on validation recordings; None where there were none."""
    calibration: Calibration | None = None
    """None leaves the probabilities as the network gives them, and gives everything a class."""

    def __post_init__(self) -> None:
        _require(
            len(self.labels) == self.model.num_classes,
            f"{len(self.labels)} labels for {self.model.num_classes} classes",
        )
        _require(
            self.bouts is None or len(self.bouts.thresholds) == len(self.labels),
            f"the settings of bouts must have one entry a class: {len(self.labels)}",
        )
        _require(len(set(self.labels)) == len(self.labels), "labels must differ from each other")
        own = () if self.calibration is None else self.calibration.class_temperatures
        _require(
            not own or (self.model.multi_label and len(own) == len(self.labels)),
            f"class_temperatures are of each class of a multi_label model, got {len(own)} for {len(self.labels)}",
        )
        names = () if self.preprocess.vectors is None else self.preprocess.vectors.names
        _require(
            len(names) == (self.model.vector_size or 0),
            f"vectors of {len(names)} values for a network that reads {self.model.vector_size or 'pictures'}",
        )


@dataclass(frozen=True, kw_only=True)
class CaptioningHeader(_Header):
    """What the file of a captioning model says about itself."""

    task: Literal["captioning"] = "captioning"
    model: CaptioningConfig
    preprocess: PreprocessConfig | None
    """None exactly where the model has no backbone and reads ready vectors."""
    vocabulary: tuple[str, ...]
    """The words, without the reserved tokens: `lrcn.text.Vocabulary(header.vocabulary)`."""

    def __post_init__(self) -> None:
        expected = self.model.vocabulary_size - len(RESERVED_TOKENS)
        _require(len(self.vocabulary) == expected, f"{len(self.vocabulary)} words in the vocabulary, not {expected}")
        _require(len(set(self.vocabulary)) == expected, "the words of the vocabulary must differ from each other")
        _require(
            (self.preprocess is None) == (self.model.backbone is None),
            "preprocess must be null exactly where the model has no backbone",
        )


ModelHeader = RecognitionHeader | CaptioningHeader
"""What a model file says about itself; `task` tells which."""
