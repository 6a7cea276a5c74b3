"""`lrcn serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveFloat, PositiveInt
from cyclopts.validators import Number

from lrcn.cli.exits import UsageError
from lrcn.cli.options import BatchSize, Device, RuntimeName
from lrcn.cli.terminal import remark
from lrcn.errors import require

_HERE = ("127.0.0.1", "::1", "localhost")


def serve(
    *models: str,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lt=2**16))] = 8000,
    max_queue: NonNegativeInt = 32,
    keys: Path | None = None,
    max_upload_mb: PositiveInt = 1024,
    deadline: PositiveFloat = 120.0,
    idle: PositiveFloat = 60.0,
    device: Device = "auto",
    runtime: RuntimeName = None,
    batch_size: BatchSize = 64,
) -> int:
    """Answer over HTTP: videos and pictures as uploads, cameras as streams.

    Answers are those of `lrcn recognize`, `lrcn caption` and `lrcn retrieve`. Ends with SIGTERM or Ctrl-C, once what
    was accepted is answered.

    Args:
        models: Recognition and captioning models, each as the other commands take it; requests call them by the name
            of their file or folder. Each has a process of its own.
        host: Address to listen on. Any other than this machine's own lets others in: give --keys then.
        port: Port to listen on; 0 takes a free one, which is printed.
        max_queue: Requests that may wait for a model; beyond them the answer is 429.
        keys: A file with a key a line, of which every request must bring one. Left out, nobody needs one.
        max_upload_mb: Most megabytes that a request may bring.
        deadline: Seconds that a request may take, upload and waiting included; then the answer is 504.
        idle: Seconds after which a stream that sends no frame is closed.
    """
    if not models:
        raise UsageError("name at least one model; try: lrcn serve demo")
    for module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "websockets"):
        require(module, extra="serve", wanted_by="lrcn serve")
    from lrcn.serving.keys import read_keys
    from lrcn.serving.server import serve as run
    from lrcn.serving.settings import ServeSettings, served_models

    settings = ServeSettings(
        models=served_models(models, device=device, runtime=runtime, batch_size=batch_size),
        max_queue=max_queue,
        max_upload_bytes=max_upload_mb * 10**6,
        deadline_s=deadline,
        idle_s=idle,
        keys=None if keys is None else read_keys(keys),
    )
    if host not in _HERE and keys is None:
        remark(f"lrcn: warning: anybody who reaches {host} may ask: give --keys FILE")
    run(settings, host=host, port=port, tell=lambda text: remark(f"lrcn: {text}"))
    return 0
