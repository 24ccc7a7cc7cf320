"""What the service tells Prometheus of itself: jobs by state, how long they took, what was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from adapters.serving.queue import JobQueue, State

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


class _Jobs(Collector):
    """Read from the queue when somebody asks, so that the figures survive a restart."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterator[GaugeMetricFamily]:
        jobs = GaugeMetricFamily("raydino_jobs", "Jobs in the queue by state", labels=["state"])
        for state, count in self._queue.counts().items():
            jobs.add_metric([state.value], count)
        yield jobs
        waiting = len(self._queue.undelivered())
        yield GaugeMetricFamily("raydino_undelivered", "Jobs whose results wait for the PACS", value=waiting)


class Monitoring:
    """Counters of one service."""

    def __init__(self, queue: JobQueue) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Jobs(queue))
        self._job_seconds = Histogram(
            "raydino_job_seconds",
            "From the queue to results, by outcome",
            ["state"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._requests = Counter(
            "raydino_http_requests", "HTTP requests", ["route", "method", "status"], registry=self._registry
        )

    def job_ended(self, state: State, seconds: float) -> None:
        """After each job."""
        self._job_seconds.labels(state.value).observe(seconds)

    def request_ended(self, route: str, method: str, status: int) -> None:
        """After each request; ``route`` is the template, never the address itself."""
        known = method if method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH") else "other"
        self._requests.labels(route or "none", known, str(status)).inc()

    def text(self) -> bytes:
        """In Prometheus' exposition format."""
        return generate_latest(self._registry)
