"""Stretches of a file that its demuxer passes over without a word.

Bytes that belong to no packet, and frames that the index knows and that never come.
"""

from __future__ import annotations

import av
from av.container import InputContainer

_MOST_BETWEEN = 512
"""Bytes between two packets of Matroska that are heads of blocks and clusters, and no hole."""

_SOON = 64
"""Packets after which the frame behind a hole has come out of every decoder."""

MATROSKA = "matroska,webm"


class Holes:
    """Looks at each packet of a video stream, and says whether there was a hole."""

    def __init__(self, container: InputContainer, stream: av.VideoStream) -> None:
        """Look at a stream from its beginning on."""
        self._format = container.format.name
        self._container = container
        self._stream = stream
        self._end = 0
        self._shift = 0
        self._heads: int | None = None
        self._since = _SOON

    @property
    def was_one(self) -> bool:
        """Whether there was one before the packets of which frames come out now."""
        return self._since < _SOON

    def packets(self) -> list[av.stream.Stream]:
        """Return the streams whose packets must be looked at, for it to be known which bytes belong to none."""
        return list(self._container.streams) if self._format == MATROSKA else [self._stream]

    def look(self, packet: av.Packet[av.stream.Stream]) -> None:
        """Look at the next packet of these streams; its time is put right where the frames before it are missing."""
        if packet.pos is None or not packet.size:
            return
        if self._format == MATROSKA:
            self._since = 0 if self._end and packet.pos - self._end > _MOST_BETWEEN else self._since + 1
            self._end = packet.pos + packet.size
        elif self._format == "avi" and packet.dts is not None:
            self._by_index(packet, packet.dts)

    def _by_index(self, packet: av.Packet[av.stream.Stream], count: int) -> None:
        """Shift a packet of AVI, which states no times: the demuxer counts frames, and counts none that it passed over.

        The index says which place belongs to which frame.
        """
        self._since += 1
        entries = self._stream.index_entries
        number = count + self._shift
        if not 0 <= number < len(entries) or packet.pos is None:
            return
        if self._heads is None:
            self._heads = packet.pos - entries[number].pos  # indices name where the head of a chunk is
        place = packet.pos - self._heads
        found = number
        while found < len(entries) and entries[found].pos < place:
            found += 1
        if found < len(entries) and entries[found].pos == place and found > number:
            self._shift += found - number
            self._since = 0
        if self._shift:
            packet.dts = count + self._shift
            packet.pts = None if packet.pts is None else packet.pts + self._shift
