"""Flags that several commands share, with the help that each shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt
from cyclopts.validators import Number

from lrcn.cli.exits import UsageError
from lrcn.cli.numbers import as_region
from lrcn.errors import DataError

if TYPE_CHECKING:
    from lrcn.config import VectorConfig
    from lrcn.data.captioning.examples import CaptionData
    from lrcn.data.recognition.examples import ReadOptions, RecognitionData

Model = Annotated[
    str,
    Parameter(
        help="`demo` (ships with lrcn; so do `photos` and `emoji`, for captions), a `.safetensors` file, or a folder "
        "that `lrcn train` or `lrcn export` wrote."
    ),
]
CaptionModel = Annotated[
    str,
    Parameter(
        help="A captioning model: `photos` (ships with lrcn; knows people, dogs and sport outdoors), `emoji` "
        "(likewise; pictures of two emoji), a `.safetensors` file, or a folder that `lrcn train captioning` or "
        "`lrcn export` wrote."
    ),
]
Data = Annotated[
    Path,
    Parameter(
        help="The data set: a folder with a folder of videos for each class, `train/CLASS` `val/CLASS` `test/CLASS`, "
        "`annotations.csv` (path,label,split), the official lists of UCF-101 or HMDB-51, or a Kinetics CSV; or "
        "annotations of long recordings, a file of all or a folder with one for each: BORIS, ELAN, CVAT, CSV and "
        "others (see `lrcn data import`). For captions: a folder with `captions.csv` (path,caption,split), or the JSON "
        "of COCO, Karpathy, MSR-VTT or MSVD."
    ),
]
CaptionsData = Annotated[
    Path,
    Parameter(
        help="The data set: a folder with `captions.csv` or such a file (path,caption,split; several rows for each "
        "picture or video), COCO captions JSON, Karpathy's JSON (Flickr8k, Flickr30k, COCO), MSR-VTT or MSVD JSON."
    ),
]
Device = Annotated[
    str,
    Parameter(help="Where the network runs: `auto` takes the GPU if there is one; or `cpu`, `cuda`, `cuda:1`, `mps`."),
]
RuntimeName = Annotated[
    str | None,
    Parameter(
        name="--runtime",
        help="What runs the CNN and, in recognition, the LSTM: `torch` (default), `torch-bf16`, `onnxruntime`, "
        "`openvino`, `openvino-bf16`, or `auto`: the fastest that is installed and says what torch says for this "
        "model. The graphs are made at the first use and kept. A folder that `lrcn export` wrote brings its own.",
    ),
]
Seed = Annotated[int, Parameter(validator=Number(gte=0, lt=2**63))]
BatchSize = Annotated[
    PositiveInt,
    Parameter(help="Frames that pass through the CNN at once; lower it if memory runs out. Results agree to rounding."),
]
RegionOfInterest = Annotated[
    tuple[int, int, int, int] | None,
    Parameter(
        name="--roi",
        n_tokens=1,
        converter=as_region,
        help="Look at this part of the picture only: left, top, width, height in px, upright as players show it, such "
        "as `120,80,400,300`. Train on recordings whose annotations say in their column roi where to look.",
    ),
]
FlowModel = Annotated[
    str | None,
    Parameter(help="A model of the flow stream, to be fused with the RGB model; the flow is computed as needed."),
]
RGBWeight = Annotated[
    float | None,
    Parameter(
        validator=Number(gte=0, lte=1),
        help="Share of the RGB model in the fusion, 0 to 1 (the paper: 0.5 and 0.33). Left out, a third.",
    ),
]
Crops = Annotated[
    Literal[1, 10],
    Parameter(help="Crops of each frame to average: the centre, or the paper's ten (10x the time)."),
]
UnknownBelow = Annotated[
    float | None,
    Parameter(
        validator=Number(gte=0, lte=1),
        help="Call `unknown` what has no class of at least this probability, 0 to 1; 0 gives everything a class. Left "
        "out, the model's own level, below which 5 % of its right answers on validation clips were.",
    ),
]
ValFraction = Annotated[float, Parameter(validator=Number(gte=0, lt=1))]
Quiet = Annotated[
    bool, Parameter(negative="", show_default=False, help="No progress and no remarks; errors are still shown.")
]
Isolate = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Decode in processes of their own, limited in memory and time: a file that crashes a decoder, or is "
        "made to fill the machine, costs itself alone.",
    ),
]
Json = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Print JSON on one line instead of a table.")
]


@dataclass(frozen=True, kw_only=True)
class DataFlags:
    """How a data set is read."""

    format: str = "auto"
    """Layout of the data set; `auto` recognises it. Others: class-folders, split-folders, annotations-csv, ucf101,
    hmdb51, kinetics, activitynet; recordings, or the format of their annotations; of captions: captions-csv,
    coco-captions, karpathy, msr-vtt, msvd, flickr, sentences."""
    split_number: PositiveInt = 1
    """Which of several official train/test lists, from 1 (UCF-101 and HMDB-51 have 3)."""
    val_fraction: ValFraction = 0.2
    """Share of each class's training clips held out for validation where the data set has no validation split; clips
    cut from one source video stay together."""
    skip_missing: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Leave out listed videos that are not there, and rows that cannot be used, with a warning, instead of stopping."""

    videos: Path | None = None
    """Of annotated recordings: the folder below which they lie. Left out, that of the annotations."""
    subject: str | None = None
    """Of annotated recordings: whose behaviour counts. Left out, everybody's."""
    looked_at: Literal["auto", "whole", "bouts"] = "auto"
    """Of annotated recordings: what the annotator went through. What no bout covers there is learnt as background.
    `whole`: every recording from start to end; `bouts`: nothing but the bouts; `auto`: what the annotations say."""

    flow_dir: Path | None = None
    """Folder that `lrcn data flow` wrote, for models of the flow stream: they read the flow there, not the videos."""

    def read(self, path: Path, *, seed: int = 0, vectors: VectorConfig | None = None) -> RecognitionData:
        """Return the data set, of files of ready vectors where their settings are given.

        `seed` decides which clips are held out for validation.
        """
        from lrcn.data.recognition.flow import with_flow_files

        videos = self.read_videos(path, seed=seed, vectors=vectors)
        if self.flow_dir is None:
            return videos
        return with_flow_files(videos, path, self.flow_dir, skip_missing=self.skip_missing)

    def read_videos(self, path: Path, *, seed: int = 0, vectors: VectorConfig | None = None) -> RecognitionData:
        """Return the data set with its videos, whatever `flow_dir` says."""
        from lrcn.data.recognition.readers import read_recognition_data

        try:
            return read_recognition_data(
                path,
                format=self.format,
                val_fraction=self.val_fraction,
                seed=seed,
                split_number=self.split_number,
                skip_missing=self.skip_missing,
                videos=self.videos,
                subject=self.subject,
                looked_at=self.looked_at,
                vectors=vectors,
            )
        except DataError as exc:
            if self.format == "auto" and self.holds_captions(path):
                raise DataError(f"{path}: holds captions, and classes are wanted: use a captioning model") from exc
            raise

    def of_recordings(self, path: Path, *, seed: int = 0) -> ReadOptions | None:
        """Return how annotations of recordings are read; None where a path is read as something else."""
        from lrcn.data.recognition.examples import ReadOptions
        from lrcn.data.recognition.readers import RECORDINGS, layout_of

        given = (self.videos, self.subject, self.looked_at) != (None, None, "auto")
        try:
            if not path.exists() or self.holds_captions(path):
                return None
            layout, annotation_format = layout_of(path, self.format, says_of_recordings=given)
        except (DataError, OSError):  # who reads it will say what is wrong with it
            return None
        if layout != RECORDINGS:
            return None
        return ReadOptions(
            val_fraction=self.val_fraction,
            seed=seed,
            videos=self.videos,
            subject=self.subject,
            looked_at=self.looked_at,
            annotation_format=annotation_format,
        )

    def said(self, *, seed: int) -> str:
        """Return the flags that decide what is read of recordings and how they are divided, as they were given."""
        names = ("format", "videos", "subject", "looked_at", "val_fraction", "skip_missing")
        given = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(DATA_SET, name)}
        given |= {"seed": seed} if seed else {}
        words = (
            f" --{name.replace('_', '-')}" + (f" {quote(str(v))}" if v is not True else "") for name, v in given.items()
        )
        return "".join(words)

    def check_stream(self, stream: str) -> None:
        """Make sure that a model of this stream can look at these files; `UsageError` if not."""
        if self.flow_dir is not None and stream != "flow":
            looks_at = "reads ready vectors" if stream == "vectors" else "looks at RGB frames"
            raise UsageError(f"--flow-dir holds flow images, and this model {looks_at}; flow: --stream flow")

    def holds_captions(self, path: Path) -> bool:
        """Whether this is a caption data set."""
        from lrcn.data.captioning.readers import holds_captions

        return holds_captions(path, self.format)

    def read_captions(self, path: Path, *, seed: int = 0, need_files: bool = True) -> CaptionData:
        """As `CaptionDataFlags.read`, for commands that take data sets of both tasks."""
        flags = CaptionDataFlags(format=self.format, val_fraction=self.val_fraction, skip_missing=self.skip_missing)
        return flags.read(path, seed=seed, need_files=need_files)


DataSet = Annotated[DataFlags, Parameter(name="*", group="Data set")]
DATA_SET = DataFlags()


@dataclass(frozen=True, kw_only=True)
class CaptionDataFlags:
    """How a data set of captions is read."""

    format: str = "auto"
    """Layout of the data set; `auto` recognises it. Others: captions-csv, coco-captions, karpathy, msr-vtt, msvd,
    flickr; and sentences: a text file, one a line, for `--objective sentences`."""
    val_fraction: ValFraction = 0.2
    """Share of the training files held out for validation where the data set has no validation split."""
    skip_missing: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Leave out listed pictures and videos that are not there, with a warning, instead of stopping."""

    def read(self, path: Path, *, seed: int = 0, need_files: bool = True) -> CaptionData:
        """Return the data set; `seed` decides which files are held out for validation."""
        from lrcn.data.captioning.readers import read_caption_data

        return read_caption_data(
            path,
            format=self.format,
            val_fraction=self.val_fraction,
            seed=seed,
            skip_missing=self.skip_missing,
            need_files=need_files,
        )


CaptionDataSet = Annotated[CaptionDataFlags, Parameter(name="*", group="Data set")]
CAPTION_DATA_SET = CaptionDataFlags()
