"""A camera on the network: serves a video file as motion JPEG over HTTP, over and over, until it is killed.

    python tests/video/mjpeg_server.py PORT FPS FILE [FILE ...]

Files follow each other within one connection, so that the size of the frames may change.
"""

from __future__ import annotations

import io
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path

import av


def jpegs(paths: list[Path]) -> list[bytes]:
    pictures = []
    for path in paths:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                target = io.BytesIO()
                frame.to_image().save(target, "JPEG", quality=95)
                pictures.append(target.getvalue())
    return pictures


def main() -> None:
    port, fps, *names = sys.argv[1:]
    pictures = jpegs([Path(name) for name in names])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            start = time.monotonic()
            try:
                for number, picture in enumerate(cycle(pictures)):
                    time.sleep(max(0.0, start + number / float(fps) - time.monotonic()))
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.daemon_threads = True
    print("serving", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
