"""Results into the PACS, however long it is away: what waits stands in the queue and lies on the disk.

Results are the same bytes for the same film and model, so storing them again, after a kill in the middle, changes
nothing. Neighbours: ``queue``, ``pacs``, ``rounds``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from adapters.serving.pacs import Pacs, Refusal
from adapters.serving.queue import Job, JobQueue
from adapters.serving.rounds import LONGEST_PAUSE_SECONDS, Rounds
from raydino.readers.base import SourceGone

_PAUSE_SECONDS = 1.0
_LOG = logging.getLogger("raydino.serve")


class Delivery(Rounds):
    """A thread that stores the DICOM files of ``results / RESULT ID`` of every job that waits for it.

    Where the PACS is away everything waits; where it fails on one job's results, that job waits longer and longer and
    the others go on; where it refuses them for good the job's delivery has failed, and its results still lie here.
    """

    def __init__(
        self,
        queue: JobQueue,
        pacs: Pacs,
        results: Path,
        *,
        pause_seconds: float = _PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("delivery to the PACS", self.deliver, pause_seconds)
        self._queue, self._pacs, self._results, self._clock = queue, pacs, results, clock
        self._later: dict[str, tuple[float, float]] = {}  # job → its last pause and when it is over

    def deliver(self) -> None:
        """Once over all that waits. Raises SourceGone where the PACS serves nobody."""
        for job in self._queue.undelivered():
            if self.is_ending:
                return
            if self._clock() >= self._later.get(job.id, (0.0, 0.0))[1]:
                self._deliver(job)

    def _deliver(self, job: Job) -> None:
        files = sorted((self._results / str(job.result)).glob("[!.]*.dcm"))
        try:
            if not files:
                raise Refusal("its results are gone from the disk")
            self._pacs.store(files)
        except Refusal as refusal:
            _LOG.warning("job %s: not delivered; %s", job.id, refusal)
            self._queue.undeliverable(job.id, str(refusal))
        except SourceGone:
            raise
        except OSError:
            pause = min(2 * self._later.get(job.id, (self._pause_seconds, 0.0))[0], LONGEST_PAUSE_SECONDS)
            self._later[job.id] = (pause, self._clock() + pause)
            return
        else:
            self._queue.delivered(job.id)
        self._later.pop(job.id, None)
