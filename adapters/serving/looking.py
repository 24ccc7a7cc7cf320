"""What somebody sees who looks at a result: drawn when it is first looked at, kept beside the results.

Reading never waits for drawing: it has a file process of its own, and asks the model between two films.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adapters.serving import film_work
from adapters.serving.display import attention_png
from adapters.serving.film_work import DRAWN, Draw, Drawn, Parse, Parsed
from adapters.serving.peers import Peer, Peers
from adapters.serving.queue import Job
from adapters.serving.reading_room import ReadingRoom
from adapters.serving.similar import SimilarFilm, SimilarFilms
from raydino.data.film_source import Groups
from raydino.processes import Worker


class NotDrawn(Exception):
    """The film can be read, yet not be shown; the text says why in one line."""


@dataclass
class Looking:
    """Of jobs that are read. ``audit`` and ``similar`` are None where the service was started without them."""

    room: ReadingRoom
    audit: Peers | None = None
    similar: SimilarFilms | None = None
    _worker: Worker[Any, Any] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def stop(self) -> None:
        """End the file process."""
        with self._lock:
            if self._worker is not None:
                self._worker.kill()
            self._worker = None

    def folder(self, job: Job) -> Path:
        """Of the job's pictures."""
        return self._results(job) / "page"

    def drawn(self, job: Job) -> Drawn:
        """The film's size, its masks and the patient's groups; film.u16 and the masks' pictures are there then.

        Raises NotDrawn.
        """
        known = _read_drawn(self.folder(job) / DRAWN)
        if known is not None:
            return known
        segmentation = self._results(job) / f"{job.result}.seg.dcm"
        pixels = dict(self.room.reader.encoder.spec.pixels)
        path = segmentation if segmentation.exists() else None
        return self._ask(Draw(self.room.film_path(job.id), path, pixels, self.folder(job)), Drawn)

    def attention(self, job: Job) -> Path:
        """The picture of where the encoder looks. Raises NotDrawn."""
        drawn = self.drawn(job)
        path = self.folder(job) / "attention.png"
        if not path.exists():
            film = np.fromfile(self.folder(job) / "film.u16", "<u2").reshape(drawn.rows, drawn.cols)
            png = self.room.with_model(lambda reader: attention_png(reader.encoder, film))
            partial = path.with_name(f".{path.name}.{threading.get_ident()}")
            try:
                partial.write_bytes(png)
                os.replace(partial, path)
            except OSError as error:  # a full disk: what was found is there all the same
                partial.unlink(missing_ok=True)
                raise NotDrawn(f"its picture cannot be written ({error.strerror})") from None
        return path

    def peers(self, drawn: Drawn) -> dict[str, list[Peer]]:
        """How well the model does for patients like this one, by label."""
        return self.audit.of(drawn.patient) if self.audit else {}

    def like(self, job: Job) -> list[SimilarFilm]:
        """The films of the index that are most alike. Raises NotDrawn."""
        if self.similar is None:
            return []
        index = self.similar
        pixels = dict(self.room.reader.encoder.spec.pixels)
        parsed = self._ask(Parse(self.room.film_path(job.id), pixels), Parsed)
        vector = self.room.with_model(lambda reader: index.vector(reader.encoder, parsed.film))
        return index.nearest(vector)

    def _results(self, job: Job) -> Path:
        return self.room.results / str(job.result)

    def _ask(self, request: Draw | Parse, answer: type[Any]) -> Any:
        with self._lock:
            if self._worker is None:
                self._worker = Worker(film_work.do, film_work.prepare, film_work.SECONDS)
            try:
                answered = self._worker.run(request)
            except Exception:
                self._worker.kill()
                self._worker = None
                raise
        if not isinstance(answered, answer):
            raise NotDrawn(getattr(answered, "reason", str(answered)))
        return answered


def _read_drawn(path: Path) -> Drawn | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Drawn(said["rows"], said["cols"], tuple(said["structures"]), Groups(**said["patient"]))
