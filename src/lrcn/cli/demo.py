"""`lrcn demo`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from lrcn.cli.exits import OK
from lrcn.cli.terminal import remark, warn

_EVERYBODY = ("0.0.0.0", "::", "")


def demo(
    *models: str,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lt=2**16))] = 7860,
    no_browser: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Open a page in the browser on which models can be tried.

    Drop a video or a picture on it, or use the camera: labels over time, the frames that decided, bouts, captions, and
    every format of results to download. The page asks for nothing but this server, and what was uploaded is deleted at
    the end. It ends with Ctrl-C.

    Args:
        models: What can be chosen on the page: `demo`, `photos` or `emoji` (the models that ship with lrcn),
            `.safetensors` files, folders that `lrcn train` or `lrcn export` wrote, and folders of such models. Left
            out, all that ship. (`make demo` is no page: it recognises one video in the terminal.)
        host: Address to listen at; `0.0.0.0` lets others in your network use the page, too, but for its camera.
        port: Port to listen at; 0 takes one that is free.
        no_browser: Print the address and open nothing.
    """
    from lrcn.demo.models import Models, find_models
    from lrcn.demo.server import listen, serve

    found = find_models(models, lambda line: warn([line], quiet=False))
    listening = listen(host, port)
    if host in _EVERYBODY:
        remark("lrcn: everybody who can reach this machine can use the page")

    def ready(address: str) -> None:
        print(f"lrcn demo: {address}", flush=True)
        remark("Ctrl-C ends it")

    try:
        serve(Models(found), listening, browser=not no_browser and _has_screen(), on_ready=ready)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return OK


def _has_screen() -> bool:
    """Whether a browser has somewhere to open; elsewhere a text browser would take the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
