"""What `/metrics` says, in the format of Prometheus."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lrcn.serving.jobs import Answer

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The figures of a server."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.registry = CollectorRegistry()
        self._requests = Counter("lrcn_requests", "Requests answered.", ["route", "status"], registry=self.registry)
        self._seconds = Histogram(
            "lrcn_request_seconds",
            "From the head of a request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        labels: dict[str, Any] = {"labelnames": ["model"], "registry": self.registry}
        self._gauges = {
            "up": Gauge("lrcn_worker_up", "Whether the model's process is ready.", **labels),
            "admitted": Gauge("lrcn_admitted", "Requests that hold a place.", **labels),
            "waiting": Gauge("lrcn_waiting", "Jobs that wait for the model's process.", **labels),
            "sessions": Gauge("lrcn_sessions", "Streams that are followed.", **labels),
            "calls": Gauge("lrcn_cnn_calls", "Calls of the CNN since the model's process began.", **labels),
            "frames": Gauge("lrcn_cnn_frames", "Frames through the CNN since the model's process began.", **labels),
        }
        self._counters = {
            "restarts": Counter("lrcn_worker_restarts", "Times that the model's process ended.", **labels),
            "refused": Counter("lrcn_refused", "Requests refused because the queue was full.", **labels),
            "cancelled": Counter("lrcn_cancelled", "Jobs that nobody waited for any more.", **labels),
        }
        self._spent = Histogram(
            "lrcn_job_seconds", "In the model's process.", ["model"], buckets=_SECONDS, registry=self.registry
        )

    def of_model(self, name: str) -> ModelMetrics:
        """Return the figures of a model."""
        own = {what: one.labels(name) for what, one in (*self._gauges.items(), *self._counters.items())}
        return ModelMetrics(own, self._spent.labels(name))

    def request(self, route: str, status: int, began: float) -> None:
        """Count a request that began at this reading of `time.perf_counter`."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(time.perf_counter() - began)


class ModelMetrics:
    """The figures of a model."""

    def __init__(self, own: dict[str, Any], spent: Histogram) -> None:
        """Take them by name."""
        self.up: Gauge = own["up"]
        self.admitted: Gauge = own["admitted"]
        self.waiting: Gauge = own["waiting"]
        self.sessions: Gauge = own["sessions"]
        self.restarts: Counter = own["restarts"]
        self.refused: Counter = own["refused"]
        self.cancelled: Counter = own["cancelled"]
        self._calls: Gauge = own["calls"]
        self._frames: Gauge = own["frames"]
        self._spent = spent

    def note(self, answer: Answer) -> None:
        """Take what an answer says about the process."""
        self._calls.set(answer.calls)
        self._frames.set(answer.frames)
        self._spent.observe(answer.spent_s)
