"""What can be asked of the reading room over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path as FilePath
from tempfile import SpooledTemporaryFile
from threading import BoundedSemaphore
from typing import IO, Annotated, Any

import pydicom
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, RedirectResponse

from adapters.results.frame import NOTICE
from adapters.serving import answers
from adapters.serving.access import COOKIE, SESSION_SECONDS
from adapters.serving.answers import Fault, Health, JobAnswer, JobsAnswer, ResultAnswer, SimilarFilmsAnswer
from adapters.serving.desk import Desk
from adapters.serving.looking import NotDrawn
from adapters.serving.queue import Job, State

PAGE = FilePath(__file__).parent / "page"
_MOST_FILES = 1000
_SPOOLED_BYTES = 2**20  # of a bare body that stay in memory while it comes in
_IN_MEMORY = BoundedSemaphore(4)  # films that requests hold in memory at a time
_FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": Fault} for status in (400, 401, 403, 413, 415, 422, 429, 503)
}
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "application/dicom": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "additionalProperties": False,
                    "properties": {
                        "files": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
        },
    }
}

# ``Access`` checks who asks; these two only tell readers of the OpenAPI document how to log in.
_LOGIN = [
    Depends(HTTPBearer(auto_error=False, scheme_name="token")),
    Depends(APIKeyCookie(name=COOKIE, auto_error=False, scheme_name="session")),
]
_ANY: dict[int | str, dict[str, Any]] = {status: _FAULTS[status] for status in (400, 401, 403, 413, 422, 429)}
_TOKEN = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["token"],
                    "additionalProperties": False,
                    "properties": {"token": {"type": "string"}},
                }
            }
        },
    }
}
router = APIRouter(responses=_ANY, dependencies=_LOGIN)
open_router = APIRouter(responses=_ANY)  # what needs no login


def _desk(request: Request) -> Desk:
    return request.app.state.desk


def _job(job_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], desk: Annotated[Desk, Depends(_desk)]) -> Job:
    job = desk.queue.get(job_id)
    if job is None:
        raise HTTPException(404, "no such result")
    return job


def _read_job(job: Annotated[Job, Depends(_job)]) -> Job:
    if job.state is not State.READ:
        raise HTTPException(404, f"there is no result: the job is {job.state.value}")
    return job


AtDesk = Annotated[Desk, Depends(_desk)]
AnyJob = Annotated[Job, Depends(_job)]
ReadJob = Annotated[Job, Depends(_read_job)]
_GONE: dict[int | str, dict[str, Any]] = {404: {"model": Fault}}
_SHOWN = _GONE | {409: {"model": Fault}}


@router.post("/studies", status_code=202, responses={415: _FAULTS[415], 503: _FAULTS[503]}, openapi_extra=_UPLOAD)
async def receive(request: Request, desk: AtDesk) -> JobsAnswer:
    """Take DICOM files, as a form's ``files`` or as a bare body; each is a job. The same file again is the same job."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/dicom":
        with SpooledTemporaryFile(_SPOOLED_BYTES) as body:  # as forms are: large files wait on the disk
            async for part in request.stream():
                body.write(part)
            return await _receive_all(desk, [body])
    if kind != "multipart/form-data":
        raise HTTPException(415, "send application/dicom, or multipart/form-data with `files`")
    async with request.form(max_files=_MOST_FILES, max_fields=10) as form:
        files = [part.file for part in form.getlist("files") if isinstance(part, UploadFile)]
        if not files:
            raise HTTPException(400, "the form has no file named `files`")
        return await _receive_all(desk, files)


async def _receive_all(desk: Desk, files: Sequence[IO[bytes]]) -> JobsAnswer:
    jobs = [await run_in_threadpool(_receive_one, desk, file) for file in files]
    return JobsAnswer(jobs=[JobAnswer.of(job) for job in jobs])


def _receive_one(desk: Desk, file: IO[bytes]) -> Job:
    with _IN_MEMORY:
        file.seek(0)
        return desk.intake.receive(file.read())


@router.get("/results")
def newest(desk: AtDesk, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> JobsAnswer:
    """Jobs, newest first."""
    return JobsAnswer(jobs=[JobAnswer.of(job) for job in desk.queue.newest(limit)])


@router.get("/results/{job_id}", responses=_GONE)
def result(job: AnyJob, desk: AtDesk) -> ResultAnswer:
    """A job and what was found."""
    said = JobAnswer.of(job).model_dump()
    if job.state is not State.READ:
        return ResultAnswer(**said)
    record = json.loads(_file(desk, job, ".json").read_text(encoding="utf-8"))
    files = record.pop("files")
    url = said["url"]
    try:
        shown = _shown(desk, job, url)
    except NotDrawn as error:  # what was found is there all the same
        shown = {"reason": f"the film cannot be shown: {error}"}
    said |= shown
    return ResultAnswer(
        **said,
        reading=record,
        files=answers.FilesAnswer(
            segmentation=f"{url}/segmentation.dcm" if files["segmentation"] else None,
            report=f"{url}/report.dcm",
            document=f"{url}/report.pdf",
        ),
        similar=f"{url}/similar" if desk.looking.similar else None,
        viewer=f"{url}/viewer" if desk.viewer else None,
    )


def _shown(desk: Desk, job: Job, url: str) -> dict[str, Any]:
    """What there is to see. Raises NotDrawn."""
    drawn = desk.looking.drawn(job)
    return {
        "film": answers.FilmAnswer(url=f"{url}/film", rows=drawn.rows, cols=drawn.cols),
        "masks": [
            answers.MaskAnswer(structure=name, url=f"{url}/masks/{number}.png")
            for number, name in enumerate(drawn.structures, start=1)
        ],
        "attention": f"{url}/attention.png",
        "peers": desk.looking.peers(drawn),
    }


@router.get("/results/{job_id}/film", responses=_SHOWN, response_class=FileResponse)
def film(job: ReadJob, desk: AtDesk) -> FileResponse:
    """The film: rows × cols words of 16 bits, little endian, white is dense."""
    desk.looking.drawn(job)
    return FileResponse(desk.looking.folder(job) / "film.u16", media_type="application/octet-stream")


@router.get("/results/{job_id}/masks/{number}.png", responses=_SHOWN, response_class=FileResponse)
def mask(job: ReadJob, number: Annotated[int, Path(ge=1, le=1000)], desk: AtDesk) -> FileResponse:
    """One structure, 255 where it is, of the film's size."""
    if number > len(desk.looking.drawn(job).structures):
        raise HTTPException(404, "no such mask")
    return FileResponse(desk.looking.folder(job) / f"{number}.png", media_type="image/png")


@router.get("/results/{job_id}/attention.png", responses=_SHOWN, response_class=FileResponse)
def attention(job: ReadJob, desk: AtDesk) -> FileResponse:
    """Where the encoder looks, with the rest transparent; of the film's size."""
    return FileResponse(desk.looking.attention(job), media_type="image/png")


@router.get("/results/{job_id}/similar", responses=_SHOWN)
def similar(job: ReadJob, desk: AtDesk) -> SimilarFilmsAnswer:
    """The films of the index that the encoder finds most alike."""
    films = desk.looking.like(job)
    index = desk.looking.similar
    has_pictures = index is not None and index.dataset is not None
    said = [
        answers.SimilarAnswer(**asdict(one), picture=f"/similar/{one.sample_id}.png" if has_pictures else None)
        for one in films
    ]
    return SimilarFilmsAnswer(films=said)


@router.get("/similar/{sample_id}.png", responses=_GONE, response_class=Response)
def picture(sample_id: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$")], desk: AtDesk) -> Response:
    """A small picture of a film of the index."""
    index = desk.looking.similar
    if index is None or sample_id not in index.sample_ids:
        raise HTTPException(404, "no such film")
    png = index.picture(sample_id)
    if png is None:
        raise HTTPException(404, "the service was started without the dataset")
    return Response(png, media_type="image/png")


@router.get("/results/{job_id}/segmentation.dcm", responses=_GONE, response_class=FileResponse)
def segmentation(job: ReadJob, desk: AtDesk) -> FileResponse:
    """The DICOM Segmentation."""
    return _download(desk, job, ".seg.dcm", "application/dicom")


@router.get("/results/{job_id}/report.dcm", responses=_GONE, response_class=FileResponse)
def report(job: ReadJob, desk: AtDesk) -> FileResponse:
    """The structured report, TID 1500."""
    return _download(desk, job, ".sr.dcm", "application/dicom")


@router.get("/results/{job_id}/report.pdf", responses=_GONE, response_class=Response)
def document(job: ReadJob, desk: AtDesk) -> Response:
    """The document that the encapsulated PDF holds."""
    made = pydicom.dcmread(_file(desk, job, ".pdf.dcm"))
    return Response(made.EncapsulatedDocument[: made.EncapsulatedDocumentLength], media_type="application/pdf")


@router.get("/results/{job_id}/viewer", responses=_GONE, status_code=307, response_class=RedirectResponse)
def viewer(job: ReadJob, desk: AtDesk) -> RedirectResponse:
    """The study in the viewer, whose address holds its Study Instance UID; ours never do."""
    if desk.viewer is None:
        raise HTTPException(404, "the service was started without a viewer")
    record = json.loads(_file(desk, job, ".json").read_text(encoding="utf-8"))
    return RedirectResponse(desk.viewer(record["film"]["study_instance_uid"]))


@open_router.post("/login", status_code=204, openapi_extra=_TOKEN)
async def log_in(request: Request, desk: AtDesk) -> Response:
    """Begin a session: the form's ``token`` for a cookie that scripts cannot read."""
    form = await request.form(max_files=0, max_fields=5)
    if not desk.gate.keeper.is_token(str(form.get("token", ""))):
        raise HTTPException(401, "that is not the token")
    answer = Response(status_code=204)
    answer.set_cookie(
        COOKIE,
        desk.gate.keeper.begin_session(),
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        secure=desk.gate.is_tls or request.url.scheme == "https",
    )
    return answer


@router.post("/logout", status_code=204)
def log_out(request: Request, desk: AtDesk) -> Response:
    """End the session."""
    desk.gate.keeper.end_session(request.headers)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@open_router.get("/healthz")
def health(desk: AtDesk) -> Health:
    """Whether the service takes files."""
    status = "ok" if desk.intake.has_room() else "full"
    return Health(status=status, waiting=desk.queue.counts()[State.WAITING], notice=NOTICE)


@router.get("/metrics", response_class=Response)
def metrics(desk: AtDesk) -> Response:
    """For Prometheus."""
    return Response(desk.monitoring.text(), media_type="text/plain; version=0.0.4")


@open_router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The page."""
    return FileResponse(PAGE / "index.html")


@open_router.get("/favicon.ico", include_in_schema=False)
def icon() -> RedirectResponse:
    """Browsers ask for it whatever the page says."""
    return RedirectResponse("/page/icon.svg")


def _file(desk: Desk, job: Job, suffix: str) -> FilePath:
    path = desk.looking.room.results / str(job.result) / f"{job.result}{suffix}"
    if not path.exists():
        raise HTTPException(404, "the result holds no such file")
    return path


def _download(desk: Desk, job: Job, suffix: str, media_type: str) -> FileResponse:
    return FileResponse(_file(desk, job, suffix), media_type=media_type, filename=f"{job.result}{suffix}")
