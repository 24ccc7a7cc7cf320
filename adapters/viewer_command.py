"""``raydino viewer``: the OHIF that the reading room serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

viewer = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    help="The viewer that raydino serve shows studies of the PACS in: OHIF, MIT licence.",
)

_Folder = Annotated[
    Path | None, typer.Option("--to", help="Folder for it; else ~/.local/share/raydino/ohif.", show_default=False)
]


@viewer.callback(invoke_without_command=True)
def status(context: typer.Context) -> None:
    """Say which OHIF is installed."""
    if context.invoked_subcommand is not None:
        return
    from adapters.serving.ohif_install import LICENCE, default_folder, installed

    found = installed(default_folder())
    typer.echo(f"OHIF {found.version} ({LICENCE}) in {found.folder}, {found.integrity}")


@viewer.command()
def install(
    file: Annotated[Path | None, typer.Option("--from", help="The archive that npm pack @ohif/app made.")] = None,
    version: Annotated[str, typer.Option("--version", help="The version to fetch.")] = "3.13.2",
    to: _Folder = None,
) -> None:
    """Fetch OHIF (50 MB) from registry.npmjs.org, or take it from a file, for raydino serve to show studies in.

    This is the one command of the reading room that asks another host for something. The archive is checked against
    the SHA-512 that the registry tells.

    Example: raydino viewer install
    """
    from adapters.serving import ohif_install
    from raydino.errors import UserError

    folder = to or ohif_install.default_folder()
    try:
        content = ohif_install.fetch(version) if file is None else file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=file) from None
    found = ohif_install.install(content, folder)
    typer.echo(f"OHIF {found.version} is in {found.folder}. Its licence is {ohif_install.LICENCE}: {folder}/LICENSE")
