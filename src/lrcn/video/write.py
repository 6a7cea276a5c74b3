"""RGB frames to an H.264 mp4 that every player opens."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from lrcn.errors import ConfigError, MediaError, ShapeError
from lrcn.files import replacing
from lrcn.video.footage import one_line, open_local
from lrcn.video.resize import Frames

_SOUND_RATE_HZ = 48000


def write_video(
    path: Path, frames: Iterable[Frames], *, fps: float | Fraction, crf: int = 18, audio_from: Path | None = None
) -> None:
    """Write frames as H.264 in yuv420p, BT.709; the file appears only when it is complete.

    Args:
        path: Where to; a file there is replaced.
        frames: RGB `(H, W, 3)` uint8 each, all of one size; taken one by one. An odd side gets its last row or column
            once more, because yuv420p needs even sides.
        fps: Frames per second.
        crf: Quality of x264: 0 the best, 18 hardly seen to be lossy, 51 the worst.
        audio_from: A video whose sound goes along, encoded anew as AAC and cut to the length of the frames. If it has
            none, or none that can be decoded, the video stays silent; the latter issues a warning.

    Raises:
        MediaError: If there is no frame, or the file cannot be written.
        ShapeError: If a frame has another size than the first, or is no RGB frame.
        ConfigError: If `fps` is not above 0.
    """
    path = Path(path)
    if fps <= 0:
        raise ConfigError(f"fps must be above 0, got {fps}")
    try:
        with replacing(path) as unfinished, ExitStack() as stack:
            container = stack.enter_context(av.open(f"file:{unfinished.absolute()}", "w", format="mp4"))
            sound = _Sound(audio_from, stack) if audio_from is not None else None
            if not _encode(container, frames, Fraction(fps).limit_denominator(1001), crf, sound):
                raise MediaError(f"{path}: there is no frame to write")
    except (av.FFmpegError, OSError) as exc:
        raise MediaError(f"{path}: cannot be written ({one_line(exc)})") from exc


def _encode(container: OutputContainer, frames: Iterable[Frames], fps: Fraction, crf: int, sound: _Sound | None) -> int:
    stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf)})
    stream.codec_context.color_range = ColorRange.MPEG
    stream.codec_context.colorspace = Colorspace.ITU709
    if sound is not None:
        sound.add_stream(container)
    scaler = VideoReformatter()
    shape: tuple[int, ...] | None = None
    count = 0
    for pixels in frames:
        if shape is None:
            shape = pixels.shape
            if pixels.ndim != 3 or shape[2] != 3 or 0 in shape or pixels.dtype != np.uint8:
                raise ShapeError(f"frames must be (height, width, 3) uint8, got {shape} {pixels.dtype}")
            stream.height, stream.width = shape[0] + shape[0] % 2, shape[1] + shape[1] % 2
        if pixels.shape != shape:
            raise ShapeError(f"frame {count} has shape {pixels.shape}, those before it {shape}")
        even = np.pad(pixels, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
        frame = scaler.reformat(
            av.VideoFrame.from_ndarray(even, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.pts, frame.time_base = count, 1 / fps
        container.mux(stream.encode(frame))
        count += 1
        if sound is not None:
            sound.mux_until(container, float(count / fps))  # in step, so that the muxer need not hold one of them back
    if count:
        container.mux(stream.encode(None))
        if sound is not None:
            sound.finish(container)
    return count


class _Sound:
    """The sound of a video, on its way into another; silent after the first thing that goes wrong with it."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self._stream: av.AudioStream | None = None
        self._frames: Iterator[av.AudioFrame] = iter(())
        try:
            source = stack.enter_context(open_local(path))
        except (av.FFmpegError, ValueError):
            return  # an image or a folder of images
        audio = source.streams.best("audio")
        video = source.streams.best("video")
        if not isinstance(audio, av.AudioStream) or audio.codec_context is None:
            return  # no sound, or none that ffmpeg can decode
        starts_s = float(video.start_time * video.time_base) if video and video.start_time and video.time_base else 0.0
        self._layout = "mono" if audio.channels == 1 else "stereo"
        self._frames = self._resampled(source, audio, starts_s)

    def add_stream(self, container: OutputContainer) -> None:
        """Make room for the sound, if there is any; before the first packet is written."""
        first = self._next()
        if first is not None:
            self._stream = container.add_stream("aac", rate=_SOUND_RATE_HZ, layout=self._layout)
            self._pending: av.AudioFrame | None = first

    def mux_until(self, container: OutputContainer, time_s: float) -> None:
        """Write what is heard before `time_s`."""
        while (
            self._stream is not None
            and self._pending is not None
            and (self._pending.pts or 0) < time_s * _SOUND_RATE_HZ
        ):
            container.mux(self._stream.encode(self._pending))
            self._pending = self._next()

    def finish(self, container: OutputContainer) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            container.mux(self._stream.encode(None))

    def _next(self) -> av.AudioFrame | None:
        try:
            return next(self._frames, None)
        except (av.FFmpegError, ValueError) as exc:
            warnings.warn(f"{self._path}: its sound ends early, it is damaged ({one_line(exc)})", stacklevel=2)
            return None

    def _resampled(
        self, source: av.container.InputContainer, audio: av.AudioStream, starts_s: float
    ) -> Iterator[av.AudioFrame]:
        """Yield the sound as the encoder wants it, with times counted from the first picture."""
        resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=_SOUND_RATE_HZ)
        shift = round(starts_s * _SOUND_RATE_HZ)
        for frame in source.decode(audio):
            for piece in resampler.resample(frame):
                if piece.pts is not None and piece.pts >= shift:
                    piece.pts -= shift
                    yield piece
