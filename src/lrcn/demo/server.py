"""Serves the page: nothing but this server is asked by it, and nothing is left on the disk at the end."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Awaitable, Callable, MutableMapping
from types import FrameType
from typing import Any

from lrcn.demo.models import Models
from lrcn.errors import ConfigError, require
from lrcn.video.isolation import isolated_decoding

MOST_UPLOADED = "2gb"
"""Of one file."""

_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""What the browser may load for the page: what comes from here, and no more."""

_GOODBYE_S = 1
"""Seconds that open connections of browsers get at the end."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 takes any that is free.

    Raises:
        ConfigError: If the port is taken, or there is no such address here.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except (OSError, OverflowError, UnicodeError) as exc:
        reason = str(exc)
        if isinstance(exc, OSError) and exc.errno:  # to some of the system's words Python adds what was attempted
            reason = exc.strerror or "" if isinstance(exc, socket.gaierror) else os.strerror(exc.errno)
        raise ConfigError(f"{host}:{port}: {reason}; name another port with --port, or another --host") from exc


def serve(models: Models, listening: socket.socket, *, browser: bool, on_ready: Callable[[str], object]) -> None:
    """Serve the page until the process is told to end.

    Args:
        models: What can be tried.
        listening: From `listen`; it is closed at the end.
        browser: Open the page in this machine's browser.
        on_ready: Told the address once the page can be opened.

    Raises:
        MissingExtraError: If Gradio is not installed.
    """
    with listening, tempfile.TemporaryDirectory(prefix="lrcn-demo-", ignore_cleanup_errors=True) as folder:
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=folder, HF_HUB_OFFLINE="1")
        require("gradio", extra="demo", wanted_by="lrcn demo")
        import fastapi
        import gradio
        import uvicorn

        from lrcn.demo.page import build_page, page_style, theme

        ending = threading.Event()
        app = gradio.mount_gradio_app(
            fastapi.FastAPI(openapi_url=None),
            build_page(models, ending),
            "/",
            footer_links=[],
            run_history=False,
            show_error=True,
            max_file_size=MOST_UPLOADED,
            ssr_mode=False,
            theme=theme(),
            css=page_style(),
        )
        config = uvicorn.Config(
            _closed_in(app), log_level="critical", access_log=False, timeout_graceful_shutdown=_GOODBYE_S
        )
        address = address_of(listening)

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                ending.set()
                super().handle_exit(sig, frame)

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                on_ready(address)
                if browser:
                    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        with isolated_decoding():
            Server(config).run(sockets=[listening])


def address_of(listening: socket.socket) -> str:
    """Return the address of the page, as a browser on this machine takes it."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _closed_in(app: App) -> App:
    """Tell browsers with every answer that the page may load nothing from elsewhere."""

    async def closed_in(scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"content-security-policy", _POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await app(scope, receive, send_with_policy)

    return closed_in
