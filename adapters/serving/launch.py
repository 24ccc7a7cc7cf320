"""From the options of ``raydino serve`` to a running reading room, and to its orderly end."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

import typer
import uvicorn

from adapters.reading import Reader
from adapters.results.frame import NOTICE
from adapters.results.model import Model
from adapters.serving.access import LOOPBACK, AccessLog, Keeper, read_token
from adapters.serving.app import Desk, Gate, create_app
from adapters.serving.peers import Peers
from adapters.serving.service import Service
from adapters.serving.similar import SimilarFilms
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
    aet: str = "RAYDINO"
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
    gate = _gate(settings)
    listening = _listen(settings)
    service = open_service(settings)
    try:
        scheme = "https" if gate.is_tls else "http"
        place = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{scheme}://{place}:{listening.getsockname()[1]}"
        app = create_app(desk_of(service, gate))
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,  # it would hold addresses as they were asked for
                server_header=False,
                proxy_headers=settings.proxy_user is not None,
                forwarded_allow_ips="127.0.0.1",
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=15,
                limit_concurrency=200,
                h11_max_incomplete_event_size=16 * 1024,
            )
        )
        service.start()
        typer.echo(f"{address}  {NOTICE}.")
        server.run(sockets=[listening])
    finally:
        service.stop()
        listening.close()
    typer.echo("stopped; what still waits is read at the next start")


def open_service(settings: Settings) -> Service:
    """Load the model and open the folder. Raises UserError."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
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


def desk_of(service: Service, gate: Gate) -> Desk:
    """What the routes work with."""
    return Desk(service.queue, service.intake, service.looking, service.monitoring, gate)


def _gate(settings: Settings) -> Gate:
    """Raises UserError where somebody beyond this machine could come in without a login."""
    if settings.token_file is not None and settings.proxy_user is not None:
        raise UserError("--token-file and --proxy-user are two ways to log in", remedy="give one of them")
    if settings.host not in LOOPBACK and settings.token_file is None and settings.proxy_user is None:
        remedy = "--token-file FILE, or a reverse proxy and --proxy-user HEADER; docs/security.md"
        raise UserError("others on the network could read films without a login", where=settings.host, remedy=remedy)
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise UserError("--tls-cert and --tls-key belong together")
    if settings.host not in LOOPBACK and settings.tls_cert is None:
        typer.echo("raydino: without TLS, films and the token travel unencrypted; docs/deploy.md", err=True)
    token = None if settings.token_file is None else read_token(settings.token_file)
    keeper = Keeper(token, settings.proxy_user and settings.proxy_user.lower())
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = AccessLog(settings.folder / "access.jsonl")
    hosts = (*LOOPBACK, settings.host, *settings.host_names)
    return Gate(
        keeper, log, hosts, settings.tls_cert is not None, per_second=settings.rate, burst=max(5 * settings.rate, 20.0)
    )


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise UserError(f"cannot listen there ({error.strerror})", where=where, remedy="another --port") from None
