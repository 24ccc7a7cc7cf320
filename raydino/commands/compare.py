"""``raydino compare``: the curves of several pretraining runs over each other. Never imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run directories of raydino pretrain, one or more.")],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
) -> None:
    """Draw loss, targets' entropy, probes and rank of several runs over each other: is my loss normal?

    Example: raydino compare demo/run /tmp/another-run --out compared.png
    """
    from raydino.errors import UserError
    from raydino.train.curves import plot_runs

    if out.suffix.lower() != ".png":
        raise UserError("only a PNG is written here", where=out, remedy="let --out end in .png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        plot_runs(runs, out)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=out) from None
    typer.echo(out)
