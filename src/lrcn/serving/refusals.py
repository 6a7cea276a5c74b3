"""Requests that get no answer but a status and one line."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi.responses import Response

from lrcn.errors import brief


class Refusal(Exception):
    """A status of HTTP, a line that says why, and headers."""

    def __init__(self, status: int, message: str | bytes, headers: Mapping[str, str] | None = None) -> None:
        """Take the message as text, or as the JSON text that a process wrote."""
        text = message if isinstance(message, str) else str(json.loads(message or b'""'))
        super().__init__(text)
        self.status, self.message, self.headers = status, brief(text), dict(headers or {})

    def response(self) -> Response:
        """Return it as an answer in JSON: `{"error": ...}`."""
        body = json.dumps({"error": self.message}, ensure_ascii=False).encode(errors="backslashreplace")
        return Response(body, self.status, self.headers, media_type="application/json")
