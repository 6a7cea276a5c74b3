"""From the examples of a data set to what training steps and validation read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lrcn.annotations.vector_files import read_vectors
from lrcn.config import PreprocessConfig, RecognitionHeader, VectorConfig
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.cutting import frames_of
from lrcn.data.recognition.datasets import (
    FeatureClips,
    FrameClips,
    FrameVideo,
    balanced,
    collate_features,
    collate_frames,
    window_batches,
)
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.errors import DataError, MediaError
from lrcn.features import Part, content_hash
from lrcn.models.heads import TrainingClips
from lrcn.models.recognition import RecognitionModel
from lrcn.training.features import EncodedVideos, ExampleFeatures, ReadVectors, own_share_first, training_views
from lrcn.training.progress import Bar, Narrator
from lrcn.training.recipe import PreparedData
from lrcn.training.recognition.bouts import BoutValidation, recording_features
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.recognition.data_set import check_every_class, used_examples
from lrcn.training.recognition.multi_label import MultiLabelValidation
from lrcn.training.recognition.validation import FeatureValidation, FrameValidation, class_shares, encoded_examples
from lrcn.training.validation import Validation
from lrcn.video.inputs import network_images
from lrcn.video.read import probe
from lrcn.video.sampling import clip_windows
from lrcn.video.views import CENTER_VIEW, View

MOST_FITTED = 10_000
"""Windows, or little more, from which a head learns what it learns at once: their statistics must fit into memory."""

_UNEVEN = 5
"""Times as many training clips in the largest class as in the smallest, from which on all count alike."""


def named_vectors(data: RecognitionData, vectors: VectorConfig) -> VectorConfig:
    """Return how ready vectors are read, with the names of their values: those of the first file that can be read.

    The first one, whether of training or of validation: a second training on both must read the same values.

    Raises:
        DataError: If none can be read.
    """
    message = ""
    for example in data.examples:
        if example.split == "test":
            continue
        try:
            return replace(vectors, names=read_vectors(example.path, vectors).names)
        except MediaError as exc:
            message = message or str(exc)
    raise DataError(f"{data.name}: no file of ready vectors can be read; the first: {message}")


def prepare_features(
    header: RecognitionHeader,
    model: RecognitionModel,
    data: RecognitionData,
    config: RecognitionTrainingConfig,
    *,
    cache_dir: Path | None,
    device: torch.device,
    narrator: Narrator,
    rank: int,
) -> PreparedData:
    """Encode every training and validation video once with the frozen backbone, or take it from the cache.

    Ready vectors are read as they are.

    Raises:
        DataError: If no training video of a class can be read.
    """
    encoded: ExampleFeatures
    if header.preprocess.vectors is not None:
        encoded = ReadVectors(header.preprocess, narrator.warn)
    else:
        encoded = EncodedVideos(header, model, runtime=config.runtime, cache_dir=cache_dir, device=device)
    label_ids = {label: i for i, label in enumerate(data.label_sets)}
    sets = data.shown_of_sets() if data.multi_label else None

    def part_of(example: RecognitionExample) -> Part:
        return training_part(example, config)

    def load(example: RecognitionExample) -> FeatureVideo:
        return feature_video(encoded, example, part_of(example), header.preprocess, label_ids[example.label])

    examples = used_examples(data)
    files = one_for_each_part(examples)
    with narrator.bar("features", len(files), unit="videos") as bar:
        encoded.fill(own_share_first(files, rank, config.num_ranks), part_of, bar)
    with narrator.bar("reading features", len(examples), unit="videos") as bar:
        train, val, skipped = _load_all(data, load, bar, narrator)
    balance = _balances(config, data, narrator)
    model.head.fit(partial(_all_clips, train, header.preprocess, sets, balance=balance))
    clips = FeatureClips(balanced(train) if balance else train, header.preprocess.clip_length, seed=config.seed)
    own = slice(rank, None, config.num_ranks)
    validation: Validation | None = None
    if val and sets is not None:
        validation = MultiLabelValidation(lambda model, device: val[own], header.preprocess, sets)
    elif val:
        shares = class_shares([video.label for video in val])
        validation = FeatureValidation(val[own], header.preprocess, shares[own])
    if validation is not None and (recordings := recording_features(data, encoded, part_of)):
        validation = BoutValidation(validation, recordings)
    return PreparedData(clips, len(clips), collate_features, validation, skipped, encoded.key, encoded.runtime)


def one_for_each_part(examples: Sequence[RecognitionExample]) -> list[RecognitionExample]:
    """Return the examples without further pieces of a recording that is among them."""
    of_part = {(e.path, e.roi, *(() if e.within else (e.start_s, e.end_s))): e for e in reversed(examples)}
    return list(of_part.values())[::-1]


def _balances(config: RecognitionTrainingConfig, data: RecognitionData, narrator: Narrator) -> bool:
    """Whether all classes are to count alike; says so where nobody asked for it.

    Of recordings nothing is balanced unasked: how seldom a behaviour is belongs to what is learnt.
    """
    if config.balance_classes is not None:
        return config.balance_classes
    if data.multi_label or any(example.within for example in data.examples):
        return False
    counts = Counter(example.label for example in data.split("train")).values()
    uneven = max(counts) >= _UNEVEN * min(counts)
    if uneven:
        narrator.note(
            f"classes have {min(counts)} to {max(counts)} training clips: all count alike (--no-balance-classes: each "
            "clip does)"
        )
    return uneven


def training_part(example: RecognitionExample, config: RecognitionTrainingConfig) -> Part:
    """Return what is encoded for an example: all views of a training example, the centre of others and of vectors.

    Of a piece of a recording it is the whole file (what lies in its region of interest), once for all pieces of it,
    whatever their split.

    Raises:
        MediaError: If its file cannot be read.
    """
    views: tuple[View, ...] = (CENTER_VIEW,)
    if config.vectors is None and (example.split == "train" or example.within is not None):
        views = training_views(config, content_hash(example.path), release_quirks=config.release_quirks)
    if example.within is not None:
        return Part(example.path, views, roi=example.roi)
    return Part(example.path, views, example.start_s, example.end_s, example.roi)


def feature_video(
    encoded: ExampleFeatures, example: RecognitionExample, part: Part, preprocess: PreprocessConfig, label_id: int
) -> FeatureVideo:
    """Return the features of an example, or of the frames of a recording that its clips are drawn from.

    Args:
        encoded: Holds them.
        example: See above.
        part: Of this example, as `training_part` has it, or with other views.
        preprocess: Says how long clips are.
        label_id: Of the example.

    Raises:
        MediaError: If its file cannot be read.
    """
    if example.within is None:
        return encoded.get(part, label_id=label_id)
    return encoded.get_slice(
        part, lambda times_s: frames_of(example, times_s, preprocess.clip_length), label_id=label_id
    )


def _all_clips(
    videos: Sequence[FeatureVideo],
    preprocess: PreprocessConfig,
    sets: NDArray[np.bool_] | None = None,
    *,
    balance: bool,
) -> Iterator[TrainingClips]:
    """Yield the windows of every view of each video, which share its weight: 1, or less in larger classes.

    Of hours of recordings windows are taken that lie further apart, as long as windows leave no frame out.
    """
    labels = torch.tensor([video.label for video in videos])
    length, stride = preprocess.clip_length, preprocess.clip_stride
    num_frames = sum(video.num_frames * len(video.views) for video in videos)
    stride = min(length, max(stride, num_frames // MOST_FITTED))
    windows = [clip_windows(video.num_frames, length, stride) for video in videos]
    shares = [len(of_one) * len(video.views) for of_one, video in zip(windows, videos, strict=True)]
    weights = 1.0 / torch.tensor(shares)
    if balance:
        counts = labels.bincount()
        weights *= len(videos) / len(counts) / counts[labels]
    targets = labels if sets is None else torch.from_numpy(sets).float()[labels]
    for batch in window_batches(videos, length, stride, every_view=True):
        yield TrainingClips(batch.features, batch.lengths, targets[batch.videos], weights[batch.videos])


def prepare_frames(
    data: RecognitionData,
    config: RecognitionTrainingConfig,
    preprocess: PreprocessConfig,
    *,
    narrator: Narrator,
    rank: int,
) -> PreparedData:
    """Look at the head of every training and validation video, for a backbone that is trained on frames.

    Raises:
        DataError: If no training video of a class can be read.
    """
    label_ids = {label: i for i, label in enumerate(data.label_sets)}
    sets = data.shown_of_sets() if data.multi_label else None

    def load(example: RecognitionExample) -> tuple[FrameVideo, RecognitionExample]:
        example = drawn_from(example, preprocess)
        return frame_video(example, label_ids[example.label], preprocess), example

    with narrator.bar("videos", len(used_examples(data)), unit="videos") as bar:
        train, val, skipped = _load_all(data, load, bar, narrator)
    videos = [video for video, _ in train]
    clips = FrameClips(
        balanced(videos) if _balances(config, data, narrator) else videos,
        preprocess,
        mirror=config.mirror,
        jitter=config.jitter,
        seed=config.seed,
    )
    own = slice(rank, None, config.num_ranks)
    examples, labels = [example for _, example in val], [video.label for video, _ in val]
    validation: Validation | None = None
    if val and sets is not None:
        encoded = partial(encoded_examples, list(zip(examples, labels, strict=True))[own], preprocess)
        validation = MultiLabelValidation(encoded, preprocess, sets)
    elif val:
        shares = class_shares(labels)
        validation = FrameValidation(examples[own], labels[own], preprocess, shares[own])
    return PreparedData(clips, len(clips), collate_frames, validation, skipped)


def drawn_from(example: RecognitionExample, preprocess: PreprocessConfig) -> RecognitionExample:
    """Return an example whose part is that which clips are drawn from; it differs for a piece of a recording only.

    Raises:
        MediaError: If its file cannot be read.
    """
    if example.within is None:
        return example
    info = probe(example.path)
    fps = preprocess.sample_fps or info.fps
    times_s = np.arange(math.ceil((info.duration_s - 1e-3) * fps)) / fps
    first, last = frames_of(example, times_s, preprocess.clip_length)
    return replace(example, start_s=first / fps, end_s=last / fps)


def frame_video(example: RecognitionExample, label: int, preprocess: PreprocessConfig) -> FrameVideo:
    """Return what must be known of a video to draw clips from it; only its first frame is decoded.

    Raises:
        MediaError: If it cannot be read from `start_s` on.
    """
    info = probe(example.path)
    fps = preprocess.sample_fps or info.fps
    images = partial(
        network_images,
        example.path,
        preprocess,
        start_s=example.start_s,
        end_s=example.end_s,
        roi=example.roi,
        on_warning=lambda message: None,
    )
    next(images(chunk_size=1))  # raises if there is none
    ends_s = [end_s for end_s in (info.duration_s, example.end_s) if end_s]
    if ends_s:
        # the reader shows a frame up to a millisecond before its time
        num_frames = math.ceil((min(ends_s) - example.start_s - 1e-3) * fps)
        num_frames -= preprocess.stream == "flow"
    else:
        num_frames = sum(len(chunk.frames) for chunk in images())
    return FrameVideo(label, example.path, example.start_s, max(1, num_frames), fps, example.roi)


V = TypeVar("V")


def _load_all(
    data: RecognitionData, load: Callable[[RecognitionExample], V], bar: Bar, narrator: Narrator
) -> tuple[list[V], list[V], tuple[str, ...]]:
    """Load training and validation examples, leaving out those that cannot be read."""
    loaded: dict[str, list[V]] = {"train": [], "val": []}
    labels: set[str] = set()
    skipped: list[str] = []
    for done, example in enumerate(used_examples(data)):
        bar.update(done)
        try:
            loaded[example.split].append(load(example))
            labels |= set(data.shown(example)) if example.split == "train" else set()
        except MediaError as exc:
            narrator.warn(f"left out: {exc}")
            skipped.append(str(exc))
    check_every_class(data.labels, labels, f"{data.name}: no training video can be read")
    if not loaded["val"] and any(example.split == "val" for example in data.examples):
        raise DataError(f"{data.name}: no validation video can be read; the first: {skipped[-1]}")
    return loaded["train"], loaded["val"], tuple(skipped)
