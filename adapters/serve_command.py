"""``raydino serve``: the reading room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_Encoder = Annotated[Path, typer.Option("--encoder", help="Encoder artifact, or a run (its newest encoder).")]
_Adapter = Annotated[list[Path], typer.Option("--adapter", help="Adapter bundle of that encoder; repeat it.")]
_Folder = Annotated[Path, typer.Option("--folder", help="Queue, films and results; made where it is not there.")]
_Pacs = Annotated[
    str | None,
    typer.Option("--pacs", help="Store results there: https://host/dicom-web or dimse://AET@host:port?aet=OURS."),
]
_Watch = Annotated[bool, typer.Option("--watch", help="Read new chest films of --pacs (DICOMweb) unasked.")]
_DicomPort = Annotated[
    int | None, typer.Option("--dicom-port", min=0, max=65535, help="Also take films by C-STORE at this port.")
]
_DicomHost = Annotated[str, typer.Option("--dicom-host", help="Address for it; beyond loopback --caller is needed.")]
_Caller = Annotated[list[str] | None, typer.Option("--caller", help="An AE title that may send; repeat it.")]
_Viewer = Annotated[
    Path | None, typer.Option("--viewer", help="Folder of raydino viewer install, where it is not the usual one.")
]
_Aet = Annotated[str, typer.Option("--aet", help="Our AE title.")]
_Audit = Annotated[
    Path | None, typer.Option("--audit", help="Audit artifact: how well the model does for patients like this one.")
]
_Features = Annotated[
    Path | None, typer.Option("--features", help="Features artifact of that encoder: finds similar films.")
]
_Data = Annotated[Path | None, typer.Option("--data", help="Dataset of --features: labels and pictures of its films.")]
_Host = Annotated[str, typer.Option("--host", help="Address to listen at; beyond loopback a login is needed.")]
_Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="HTTP port; 0 takes a free one.")]
_TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File (mode 600) with the token that users log in with.")
]
_ProxyUser = Annotated[
    str | None,
    typer.Option("--proxy-user", help="Header in which a reverse proxy here names the user."),
]
_HostName = Annotated[
    list[str] | None, typer.Option("--host-name", help="A name by which users reach this service; repeat it.")
]
_TlsCert = Annotated[Path | None, typer.Option("--tls-cert", help="PEM certificate chain, with --tls-key.")]
_TlsKey = Annotated[Path | None, typer.Option("--tls-key", help="PEM private key.")]
_FileProcesses = Annotated[
    int, typer.Option("--file-processes", min=1, max=64, help="Files parsed and written beside the model.")
]
_MostWaiting = Annotated[
    int, typer.Option("--most-waiting", min=1, help="Films that may wait; then senders are told to wait.")
]
_KeepDays = Annotated[float, typer.Option("--keep-days", min=0, help="Films and results go after so many days.")]
_Rate = Annotated[float, typer.Option("--rate", min=0.1, help="HTTP requests a second from one address.")]
_Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]


def serve(
    encoder: _Encoder,
    adapter: _Adapter,
    folder: _Folder,
    pacs: _Pacs = None,
    watch: _Watch = False,
    dicom_port: _DicomPort = None,
    dicom_host: _DicomHost = "127.0.0.1",
    caller: _Caller = None,
    aet: _Aet = "RAYDINO",
    viewer: _Viewer = None,
    audit: _Audit = None,
    features: _Features = None,
    data: _Data = None,
    host: _Host = "127.0.0.1",
    port: _Port = 8000,
    token_file: _TokenFile = None,
    proxy_user: _ProxyUser = None,
    host_name: _HostName = None,
    tls_cert: _TlsCert = None,
    tls_key: _TlsKey = None,
    file_processes: _FileProcesses = 2,
    most_waiting: _MostWaiting = 10_000,
    keep_days: _KeepDays = 30.0,
    rate: _Rate = 100.0,
    device: _Device = "auto",
) -> None:
    """Read films as they come, and show what was found: over HTTP, over DICOM, and on a page.

    Films come by upload (POST /studies, or dropped on the page at http://127.0.0.1:8000), by C-STORE (--dicom-port) or
    from a PACS (--pacs URL --watch). Results are a DICOM Segmentation, a structured report and a PDF, stored into
    --pacs. A received film is on the disk before its sender is told so; the same film twice is one result.
    Research use only, never a diagnosis. docs/reading_room.md, docs/security.md. Needs the extra reading-room.

    Example: raydino serve --encoder RUN --adapter findings/ --adapter lungs/ --folder room/
    """
    from adapters.results.frame import require_highdicom

    require_highdicom()
    from adapters.serving.launch import Settings, launch

    launch(
        Settings(
            encoder=encoder,
            adapters=tuple(adapter),
            folder=folder,
            pacs=pacs,
            watch=watch,
            dicom_port=dicom_port,
            dicom_host=dicom_host,
            callers=tuple(caller or ()),
            aet=aet,
            viewer=viewer,
            audit=audit,
            features=features,
            data=data,
            host=host,
            port=port,
            token_file=token_file,
            proxy_user=proxy_user,
            host_names=tuple(host_name or ()),
            tls_cert=tls_cert,
            tls_key=tls_key,
            file_processes=file_processes,
            most_waiting=most_waiting,
            keep_days=keep_days,
            rate=rate,
            device=device,
        )
    )
