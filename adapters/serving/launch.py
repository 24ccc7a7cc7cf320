"""From the options of ``raydino serve`` to a running reading room, and to its orderly end."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer
import uvicorn
from fastapi import APIRouter

from adapters.reading import Reader
from adapters.results.frame import NOTICE
from adapters.results.model import Model
from adapters.serving.access import LOOPBACK, AccessLog, Keeper, read_token
from adapters.serving.app import create_app
from adapters.serving.delivery import Delivery
from adapters.serving.desk import Desk, Gate
from adapters.serving.dicomweb_proxy import proxy_routes
from adapters.serving.ohif import study_address, viewer_routes
from adapters.serving.ohif_install import default_folder
from adapters.serving.pacs import Pacs, open_pacs
from adapters.serving.pacs_web import WebPacs
from adapters.serving.peers import Peers
from adapters.serving.scp import StorageScp
from adapters.serving.service import Part, Service
from adapters.serving.similar import SimilarFilms
from adapters.serving.slow_peers import PunctualProtocol
from adapters.serving.watch import SeenFilms, Watch
from raydino.errors import UserError

_GRACE_SECONDS = 10  # for requests that are being answered when the service is told to stop


@dataclass(frozen=True)
class Settings:
    """What ``raydino serve --help`` explains."""

    encoder: Path
    adapters: tuple[Path, ...]
    folder: Path
    pacs: str | None = None
    watch: bool = False
    dicom_port: int | None = None
    dicom_host: str = "127.0.0.1"
    callers: tuple[str, ...] = ()
    aet: str = "RAYDINO"
    viewer: Path | None = None
    audit: Path | None = None
    features: Path | None = None
    data: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    proxy_user: str | None = None
    host_names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    file_processes: int = 2
    most_waiting: int = 10_000
    keep_days: float = 30.0
    rate: float = 100.0
    device: str = "auto"


def launch(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises UserError where something does not fit, before anything is served."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    keeper = _keeper(settings)
    pacs = None if settings.pacs is None else open_pacs(settings.pacs)
    routes, address_in_viewer = _viewer(settings, pacs)
    listening = _listen(settings)
    try:
        service = open_service(settings)
        service.parts += _parts(settings, service, pacs)
        gate = _gate(settings, keeper)
    except BaseException:
        listening.close()
        raise
    try:
        scheme = "https" if gate.is_tls else "http"
        place = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{scheme}://{place}:{listening.getsockname()[1]}"
        desk = Desk(service.queue, service.intake, service.looking, service.monitoring, gate, address_in_viewer)
        app = create_app(desk, routes)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # it would hold addresses as they were asked for
                server_header=False,
                proxy_headers=False,  # the application does it, after it has seen who connected
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=15,
                limit_concurrency=200,
                h11_max_incomplete_event_size=16 * 1024,
                http=PunctualProtocol,
                ws="none",
            )
        )
        service.start()
        for part in service.parts:
            if isinstance(part, StorageScp):
                typer.echo(f"C-STORE to {part.aet} at {part.host}:{part.port}")
        typer.echo(f"{address}  {NOTICE}.")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _told_to_stop)
        server.run(sockets=[listening])
    finally:
        service.stop()
        listening.close()
    typer.echo("stopped; what still waits is read at the next start")


def _told_to_stop(number: int, frame: object) -> None:
    """uvicorn ends in order, and then raises the signal again for whoever handled it before."""


def open_service(settings: Settings) -> Service:
    """Load the model and open the folder. Raises UserError."""
    if settings.data is not None and settings.features is None:
        raise UserError("--data is the dataset of --features", remedy="give --features too, or neither")
    reader = Reader.load(settings.encoder, settings.adapters, device=settings.device)
    model = Model.of(reader.encoder.spec, settings.adapters)
    audit = None
    if settings.audit is not None:
        spoken = [label for author in model.authors if author.task == "classification" for label in author.labels]
        audit = Peers.open(settings.audit, spoken, [author.fingerprint for author in model.authors])
        if audit.warning:
            typer.echo(f"raydino: {audit.warning}", err=True)
    similar = None
    if settings.features is not None:
        similar = SimilarFilms.open(settings.features, reader.encoder.spec.fingerprint, settings.data)
    return Service.open(
        settings.folder,
        reader,
        model,
        audit=audit,
        similar=similar,
        deliver=settings.pacs is not None,
        file_processes=settings.file_processes,
        most_waiting=settings.most_waiting,
        keep_days=settings.keep_days,
    )


def _parts(settings: Settings, service: Service, pacs: Pacs | None) -> list[Part]:
    """What brings films and takes results away. Raises UserError."""
    parts: list[Part] = []
    if pacs is not None:
        parts.append(Delivery(service.queue, pacs, service.room.results))
    if settings.watch:
        if pacs is None:
            raise UserError("--watch needs --pacs", remedy="--pacs https://pacs.example.org/dicom-web")
        parts.append(Watch(pacs, service.intake, SeenFilms(service.folder / "seen.sqlite")))
    if settings.dicom_port is not None:
        if settings.dicom_host not in LOOPBACK and not settings.callers:
            remedy = "name those who may with --caller AET"
            raise UserError("DICOM has no login, so anybody could send films", where=settings.dicom_host, remedy=remedy)
        parts.append(
            StorageScp(
                service.intake.receive,
                aet=settings.aet,
                host=settings.dicom_host,
                port=settings.dicom_port,
                callers=settings.callers,
            )
        )
    return parts


def _viewer(settings: Settings, pacs: Pacs | None) -> tuple[tuple[APIRouter, ...], Callable[[str], str] | None]:
    """OHIF and the way to the PACS, where there are both. Raises UserError where it was asked for and is not there."""
    if not isinstance(pacs, WebPacs):
        if settings.viewer is not None:
            raise UserError("the viewer reads from a PACS by DICOMweb", remedy="give one with --pacs")
        return (), None
    folder = settings.viewer or default_folder()
    if settings.viewer is None and not folder.exists():
        return (), None
    return (viewer_routes(folder), proxy_routes(pacs.shown)), study_address


def _keeper(settings: Settings) -> Keeper:
    """Raises UserError where somebody beyond this machine could come in without a login."""
    if settings.token_file is not None and settings.proxy_user is not None:
        raise UserError("--token-file and --proxy-user are two ways to log in", remedy="give one of them")
    if settings.host not in LOOPBACK and settings.token_file is None and settings.proxy_user is None:
        remedy = "--token-file FILE, or a reverse proxy and --proxy-user HEADER; docs/security.md"
        raise UserError("others on the network could read films without a login", where=settings.host, remedy=remedy)
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UserError("--tls-cert and --tls-key belong together")
    _require_certificate(settings.tls_cert, settings.tls_key)
    if settings.host not in LOOPBACK and settings.tls_cert is None:
        typer.echo("raydino: without TLS, films and the token travel unencrypted; docs/deploy.md", err=True)
    token = None if settings.token_file is None else read_token(settings.token_file)
    return Keeper(token, settings.proxy_user and settings.proxy_user.lower())


def _gate(settings: Settings, keeper: Keeper) -> Gate:
    log = AccessLog(settings.folder / "access.jsonl")
    hosts = (*LOOPBACK, settings.host, *settings.host_names)
    return Gate(
        keeper, log, hosts, settings.tls_cert is not None, per_second=settings.rate, burst=max(5 * settings.rate, 20.0)
    )


def _require_certificate(cert: Path | None, key: Path | None) -> None:
    """Raises UserError where TLS would not begin: after the start it would be too late to say it."""
    if cert is None or key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key, password="")
    except OSError as error:
        is_tls = isinstance(error, ssl.SSLError)
        why = "no PEM certificate with its key, or the key is under a password" if is_tls else error.strerror
        raise UserError(f"the certificate cannot be used ({why})", where=f"{cert}, {key}") from None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UserError(f"cannot listen there ({error.strerror})", where=where, remedy="another --port") from None
