"""`WS /v1/stream`: frames in, segments out.

What a stream remembers stays here between its frames, so a process that ends in the middle costs it nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from lrcn.serving.jobs import Job
from lrcn.serving.model_worker import ModelWorker
from lrcn.serving.refusals import Refusal
from lrcn.serving.routes import MOST_NAMED, ModelName, Routes
from lrcn.video.inputs import ARRAY_FPS

DONE, NO_TEXT, BAD_FRAME, IDLE, FAILED, RESTARTING, TRY_LATER = 1000, 1003, 1007, 1008, 1011, 1012, 1013
"""Why a connection is closed (RFC 6455 and IANA's list)."""

_LONGEST_SIDE_PX = 8192
_LONGEST_REASON_BYTES = 123

Side = Annotated[int | None, Query(ge=1, le=_LONGEST_SIDE_PX)]


class _Close(Exception):
    """A connection is to be closed."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode(errors="replace")[:_LONGEST_REASON_BYTES].decode(errors="ignore")


class Sessions:
    """The streams that are followed."""

    def __init__(self, routes: Routes) -> None:
        """Take the models and how the server is set up."""
        self._routes = routes
        self._open: set[asyncio.Task[Any]] = set()
        self._draining = asyncio.Event()

    async def drain(self) -> None:
        """Answer the frames that are being looked at, then close all streams."""
        self._draining.set()
        if self._open:
            await asyncio.wait(self._open)

    async def follow(
        self,
        websocket: WebSocket,
        model: ModelName = None,
        mode: Literal["window", "carry"] = "window",
        top_k: Annotated[int, Query(ge=1, le=MOST_NAMED)] = 5,
        clip_stride: Annotated[int | None, Query(ge=1)] = None,
        fps: Annotated[float | None, Query(gt=0, le=1000)] = None,
        width: Side = None,
        height: Side = None,
    ) -> None:
        """Follow a stream up to an empty message, or to the end of its connection.

        Each message is a frame: a JPEG, or, with `width` and `height`, raw RGB. They come `fps` a second; left out, as
        many as the model looks at.
        """
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            self._routes.check_key(websocket.headers.get("authorization"))
            worker = self._routes.worker(model, "recognition")
            if (width is None) != (height is None):
                raise Refusal(422, "give width and height of raw frames, or neither for JPEG")
            settings = {
                "mode": mode,
                "top_k": top_k,
                "clip_stride": clip_stride,
                "size": None if width is None else (height, width),
            }
            with worker.session():
                stream = _Stream(worker, settings, fps, self._routes.settings.deadline_s)
                await stream.begin()
                await websocket.accept()
                await self._take_frames(websocket, stream)
        except Refusal as exc:
            with suppress(WebSocketDisconnect):
                await websocket.send_denial_response(exc.response())
        except WebSocketDisconnect:
            return
        finally:
            self._open.discard(task)

    async def _take_frames(self, websocket: WebSocket, stream: _Stream) -> None:
        try:
            while True:
                frame = await self._next_frame(websocket)
                segment = await stream.push(frame)
                if segment:
                    await websocket.send_text(segment)
                if not frame:
                    raise _Close(DONE)
        except _Close as exc:
            await websocket.close(exc.code, exc.reason)

    async def _next_frame(self, websocket: WebSocket) -> bytes:
        idle_s = self._routes.settings.idle_s
        coming = asyncio.ensure_future(websocket.receive())
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait((coming, draining), timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
            if draining.done():
                raise _Close(RESTARTING, "the server is stopping")
            if not coming.done():
                raise _Close(IDLE, f"no frame for {idle_s:g} s")
            message = coming.result()
        finally:
            coming.cancel()
            draining.cancel()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        if message.get("bytes") is None:
            raise _Close(NO_TEXT, "expected frames as binary messages (JPEG or raw RGB), got text")
        frame: bytes = message["bytes"]
        return frame


class _Stream:
    """A stream of frames, and what it remembers between them."""

    def __init__(self, worker: ModelWorker, settings: dict[str, Any], fps: float | None, deadline_s: float) -> None:
        self._worker, self._settings, self._fps, self._deadline_s = worker, settings, fps, deadline_s
        self._memory = b""
        self._num_frames = 0

    async def begin(self) -> None:
        """Make sure that the settings are good; `Refusal` if not."""
        try:
            await self._run(b"", 0.0)
        except TimeoutError as exc:
            raise Refusal(504, f"{self._worker.served.name} was not ready within {self._deadline_s:g} s") from exc

    async def push(self, frame: bytes) -> str:
        """Return the segment that a frame completes, or that is left at the end, where the frame is empty.

        Raises:
            _Close: If the frame is none, or cannot be looked at.
        """
        fps = self._fps or self._worker.about.get("sample_fps") or ARRAY_FPS
        try:
            said = await self._run(frame, self._num_frames / fps)
        except TimeoutError as exc:
            raise _Close(TRY_LATER, f"a frame was not looked at within {self._deadline_s:g} s") from exc
        except Refusal as exc:
            raise _Close(BAD_FRAME if exc.status == 422 else FAILED, exc.message) from exc
        self._num_frames += 1
        return said

    async def _run(self, frame: bytes, time_s: float) -> str:
        job = Job(kind="stream", settings={**self._settings, "time_s": time_s}, frame=frame, memory=self._memory)
        async with asyncio.timeout(self._deadline_s):
            answer = await self._worker.run(job)
        self._memory = answer.memory
        return answer.body.decode()
