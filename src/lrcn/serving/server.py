"""A server from its start to its end: a socket, a process for each model; at SIGTERM, what is accepted is finished."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from lrcn.errors import ConfigError, ModelFileError
from lrcn.serving.app import make_app
from lrcn.serving.metrics import Metrics
from lrcn.serving.model_worker import ModelWorker
from lrcn.serving.sessions import Sessions
from lrcn.serving.settings import LONGEST_MESSAGE_BYTES, ServeSettings
from lrcn.serving.uploads import sweep_left_over

_BACKLOG = 128


def serve(settings: ServeSettings, *, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and then until what was accepted is answered.

    Args:
        settings: Models and limits.
        host: Address to listen on.
        port: 0 takes one that is free.
        tell: Takes lines for the user: where the server listens, when its models are ready.

    Raises:
        ConfigError: If nothing can listen there.
        ModelFileError: If a model cannot be used.
    """
    listening = _listen(host, port)
    sweep_left_over()
    with listening, _signals() as stopped:
        shown = f"[{host}]" if ":" in host else host
        tell(f"listening on http://{shown}:{listening.getsockname()[1]}")
        asyncio.run(_serve(settings, listening, tell, stopped))


async def _serve(
    settings: ServeSettings, listening: socket.socket, tell: Callable[[str], None], stopped: threading.Event
) -> None:
    metrics = Metrics()
    workers = {
        model.name: ModelWorker(model, max_queue=settings.max_queue, metrics=metrics.of_model(model.name))
        for model in settings.models
    }
    app, sessions = make_app(settings, workers, metrics)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        ws_max_size=LONGEST_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # frames are compressed already, and a small message could become a large one
        timeout_graceful_shutdown=int(settings.deadline_s) + 5,  # by then each has its answer, or its 504
    )
    server = _Server(config, sessions, stopped)
    for worker in workers.values():
        worker.start()
    watching = asyncio.create_task(_watch(server, list(workers.values()), tell))
    try:
        await server.serve(sockets=[listening])
        if watching.done():
            watching.result()
    finally:
        watching.cancel()
        await asyncio.gather(*(worker.close() for worker in workers.values()))


async def _watch(server: uvicorn.Server, workers: Sequence[ModelWorker], tell: Callable[[str], None]) -> None:
    """Say when all models are ready; end the server if one can never be."""
    for worker in workers:
        await worker.usable.wait()
        if worker.unusable is not None:
            server.should_exit = True
            raise ModelFileError(worker.unusable)
    tell("ready: " + ", ".join(f"{worker.served.name} ({worker.served.task})" for worker in workers))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, sessions: Sessions, stopped: threading.Event) -> None:
        super().__init__(config)
        self._sessions, self._stopped = sessions, stopped

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's; whether to end."""
        return await super().on_tick(counter) or self._stopped.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and let streams have their answers before theirs are closed."""
        for server in self.servers:
            server.close()
        await self._sessions.drain()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ConfigError(f"--host {host}: no such address here ({exc.strerror})") from exc
    try:
        if hasattr(socket, "SO_REUSEPORT"):  # on Windows, reuse would let two programs have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except (OSError, OverflowError) as exc:
        listening.close()
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ConfigError(f"--port {port}: nothing can listen on {host}:{port} ({reason}); choose another") from exc
    listening.setblocking(False)
    return listening


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Give what is set by a signal that comes before uvicorn listens to it, or that it raises again when it is done."""
    stopped = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
