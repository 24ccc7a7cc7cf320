"""What routes work with, and who may come to them. Neighbours: ``routes``, ``app``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adapters.serving.access import AccessLog, Keeper
from adapters.serving.intake import Intake
from adapters.serving.looking import Looking
from adapters.serving.monitoring import Monitoring
from adapters.serving.queue import JobQueue

MOST_BYTES = 512 * 2**20  # of one request


@dataclass(frozen=True)
class Gate:
    """Who may come in, by which names this service is known, and how much and how often one may ask."""

    keeper: Keeper
    log: AccessLog
    hosts: tuple[str, ...]
    is_tls: bool = False
    most_bytes: int = MOST_BYTES
    per_second: float = 100.0
    burst: float = 500.0


@dataclass(frozen=True)
class Desk:
    """What routes work with. ``viewer``: the address of a study in the viewer, by its Study Instance UID."""

    queue: JobQueue
    intake: Intake
    looking: Looking
    monitoring: Monitoring
    gate: Gate
    viewer: Callable[[str], str] | None = None
