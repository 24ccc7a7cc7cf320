"""The shapes of the service's answers, as its OpenAPI document says them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from adapters.serving.peers import Peer
from adapters.serving.queue import Delivery, Job, State
from adapters.serving.similar import SimilarFilm


class Fault(BaseModel):
    """What was wrong, in one line."""

    detail: str


class JobAnswer(BaseModel):
    """One received file. ``url`` is where its results are, or will be."""

    id: str
    state: State
    reason: str | None
    received: str
    delivery: Delivery
    url: str

    @classmethod
    def of(cls, job: Job) -> JobAnswer:
        """Without what only the service needs to know."""
        return cls(
            id=job.id,
            state=job.state,
            reason=job.reason,
            received=job.received,
            delivery=job.delivery,
            url=f"/results/{job.id}",
        )


class JobsAnswer(BaseModel):
    """Jobs in the order of the files, or newest first."""

    jobs: list[JobAnswer]


class FilmAnswer(BaseModel):
    """Where the film's pixels are: ``rows`` × ``cols`` words of 16 bits, little endian."""

    url: str
    rows: int
    cols: int
    bits: int = 16


class MaskAnswer(BaseModel):
    """A picture of the film's size, 255 where the structure is."""

    structure: str
    url: str


class FilesAnswer(BaseModel):
    """The results in DICOM, and the document as PDF."""

    segmentation: str | None
    report: str
    document: str


class ResultAnswer(JobAnswer):
    """A job and, once it is read, what was found. ``reading`` is the JSON of adapters/results/files.py."""

    reading: dict[str, Any] | None = None
    film: FilmAnswer | None = None
    masks: list[MaskAnswer] = []
    attention: str | None = None
    files: FilesAnswer | None = None
    peers: dict[str, list[Peer]] = {}
    similar: str | None = None
    viewer: str | None = None


@dataclass(frozen=True)
class SimilarAnswer(SimilarFilm):
    """A film that the encoder finds alike, by the cosine of their CLS tokens, and where its picture is."""

    picture: str | None


class SimilarFilmsAnswer(BaseModel):
    """Most alike first."""

    films: list[SimilarAnswer]


class Health(BaseModel):
    """``full``: no more files are taken now."""

    status: str
    waiting: int
    notice: str
