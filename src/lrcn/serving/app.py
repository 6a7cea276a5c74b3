"""The application: addresses, errors as one line of JSON, figures of every request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrcn.serving.metrics import Metrics
from lrcn.serving.model_worker import ModelWorker
from lrcn.serving.refusals import Refusal
from lrcn.serving.routes import Routes, make_router
from lrcn.serving.sessions import Sessions
from lrcn.serving.settings import ServeSettings

_ABOUT = """Models of LRCN behind HTTP. Answers are those of the command line, in the same JSON.

Streams of frames go over a WebSocket, `/v1/stream`, which OpenAPI cannot describe: each binary message is a frame, a
JPEG or (with the query `width` and `height`) raw RGB; each text message that comes back is a segment; an empty message
ends the stream. Its query takes `model`, `mode` (`window` or `carry`), `top_k`, `clip_stride` and `fps`, too."""

_BEARER = HTTPBearer(auto_error=False, description="One of the server's keys.")


def make_app(settings: ServeSettings, workers: Mapping[str, ModelWorker], metrics: Metrics) -> tuple[FastAPI, Sessions]:
    """Return the application, and its streams, which are to be drained before it ends.

    Args:
        settings: Limits and keys.
        workers: Models by name, whose processes somebody else starts.
        metrics: Where requests are counted.
    """
    routes = Routes(settings, workers, metrics)
    sessions = Sessions(routes)
    app = FastAPI(
        title="lrcn serve",
        version=version("lrcn"),
        description=_ABOUT,
        docs_url=None,  # these pages fetch their scripts from elsewhere
        redoc_url=None,
    )

    def authorised(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None
    ) -> None:
        routes.check_key(request.headers.get("authorization"))

    app.include_router(make_router(routes, [] if settings.keys is None else [Depends(authorised)]))
    app.add_api_websocket_route("/v1/stream", sessions.follow)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid_stream)
    app.add_exception_handler(HTTPException, _no_such)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(_Counting, metrics=metrics)
    return app, sessions


async def _refused(request: Request, exc: Any) -> Response:
    refusal: Refusal = exc
    return refusal.response()


async def _invalid(request: Request, exc: Any) -> Response:
    return _of_query(exc.errors()).response()


async def _invalid_stream(websocket: WebSocket, exc: Any) -> None:
    await websocket.send_denial_response(_of_query(exc.errors()).response())


async def _no_such(request: Request, exc: Any) -> Response:
    return Refusal(exc.status_code, f"{request.method} {request.url.path}: {exc.detail}", exc.headers).response()


async def _failed(request: Request, exc: Exception) -> Response:
    return Refusal(500, f"this request failed inside the server ({type(exc).__name__})").response()


def _of_query(complaints: Any) -> Refusal:
    """Phrase the first thing that is wrong with a query."""
    first = complaints[0]
    more = f" ({len(complaints) - 1} more)" if len(complaints) > 1 else ""
    place = ".".join(str(part) for part in first["loc"][1:])
    return Refusal(422, f"query parameter {place}: {first['msg'].lower()}, got {str(first.get('input'))[:80]!r}{more}")


class _Counting:
    """Counts requests and their time, by the address as it is declared and not as it was asked for."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.request(getattr(scope.get("route"), "path", "other"), status, began)
