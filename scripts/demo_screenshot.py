"""Take the picture of `lrcn demo` that the README shows, or another one: `python scripts/demo_screenshot.py [--help]`.

Needs Chromium and playwright. The page shows the video that ships, recognised by the model that ships.
"""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

_FLAT_COLOURS = 48
"""Of the 256 that the picture has: the commonest ones, of letters and grounds, exactly; photographs share the rest."""


def main() -> int:
    """Start the command, let a browser use it, and write what it shows."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--output", type=Path, default=Path("docs/images/demo-page.png"))
    flags.add_argument("--width", type=int, default=1200)
    flags.add_argument("--dark", action="store_true")
    flags.add_argument("--model", default="demo")
    flags.add_argument("--picture", action="store_true", help="the first picture in place of the video")
    given = flags.parse_args()
    command = [sys.executable, "-m", "lrcn", "demo", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            shot = _shot(server.stdout.readline().split()[-1], given)
        finally:
            server.send_signal(signal.SIGINT)
    _with_few_colours(Image.open(io.BytesIO(shot)).convert("RGB")).save(given.output, optimize=True)
    print(f"{given.output}: {given.output.stat().st_size:,} bytes")
    return 0


def _with_few_colours(picture: Image.Image) -> Image.Image:
    """Return a picture with 256 colours, which keeps the file small."""
    colours, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    order = np.argsort(-counts)
    flat, others = colours[order[:_FLAT_COLOURS]], colours[order[_FLAT_COLOURS:]]
    shared = Image.fromarray(others[None]).quantize(256 - _FLAT_COLOURS)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*flat.ravel().tolist(), *(shared.getpalette() or [])])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _shot(address: str, given: argparse.Namespace) -> bytes:
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": given.width, "height": 800}, color_scheme="dark" if given.dark else "light"
        )
        page.goto(address)
        page.get_by_label("Model").click()
        page.get_by_role("option", name=given.model, exact=True).click()
        if given.picture:
            page.get_by_role("tab", name="Picture").click()
        page.locator(".gallery-item:visible").first.click()
        page.locator("#picture img" if given.picture else "#video video").wait_for()
        page.locator("button.primary:visible").click()
        page.locator(".lrcn.answer").wait_for()
        page.locator("#download a").first.wait_for()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.wait_for_timeout(1500)  # colours and scrolling take their time
        return page.screenshot(full_page=True)


if __name__ == "__main__":
    raise SystemExit(main())
