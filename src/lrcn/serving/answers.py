"""How a request becomes an answer: a place in the queue, the upload, the job, and who goes away or waits too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from lrcn.serving.jobs import Answer, Job
from lrcn.serving.model_worker import ModelWorker
from lrcn.serving.refusals import Refusal
from lrcn.serving.settings import ServeSettings
from lrcn.serving.uploads import Form, check_head, receive_form, upload_folder


async def answer_upload(
    request: Request,
    worker: ModelWorker,
    settings: ServeSettings,
    allowed: frozenset[str],
    job_of: Callable[[Form], Job],
) -> Response:
    """Answer a request that brings files.

    Args:
        request: Its body not yet read.
        worker: The model that is to answer.
        settings: Limits.
        allowed: Names that parts of the body may have.
        job_of: Makes the job of them.

    Raises:
        Refusal: If there is no answer.
    """
    try:
        async with asyncio.timeout(settings.deadline_s):
            with worker.place(), upload_folder() as folder:
                boundary = check_head(request, settings.max_upload_bytes)
                form = await receive_form(
                    request.stream(), boundary, folder, allowed=allowed, max_bytes=settings.max_upload_bytes
                )
                answer = await _unless_gone(request, worker.run(job_of(form)))
    except TimeoutError as exc:
        raise Refusal(504, f"not done within the {settings.deadline_s:g} s that a request may take") from exc
    except ClientDisconnect as exc:
        raise Refusal(499, "the client went away") from exc
    return Response(answer.body, media_type="application/json")


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Return what the work gives; cancel it when the client goes away, or this is cancelled.

    Raises:
        ClientDisconnect: If the client went away.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, Refusal):
                await task


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
