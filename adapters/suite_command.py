"""``raydino adapt suite``: a list of tasks in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from raydino.artifacts.dataset import Dataset


def suite(
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/adapt/suite_raydino.yaml.")],
    data: Annotated[list[str], typer.Option("--data", help="NAME=DATASET, a name of the suite's; repeat it.")],
    encoder: Annotated[Path, typer.Option("--encoder", help="Encoder artifact, or a run (its newest encoder).")],
    out: Annotated[Path, typer.Option(help="Folder of features, fits and table; what is finished in it is kept.")],
    random: Annotated[
        bool, typer.Option("--random", help="Beside it, the same adapters on a randomly initialised encoder.")
    ] = False,
) -> None:
    """Fit and predict every task whose data set is given, and write the table: markdown, CSV and JSON.

    Example: raydino adapt suite configs/adapt/suite_local.yaml --data own=DATASET --encoder RUN --out suite/
    """
    from adapters.suite import random_encoder, run_suite, write_tables
    from adapters.suite_config import load_suite
    from raydino.encoder import Encoder
    from raydino.train.precision import pick_device

    settings, datasets = load_suite(config), _datasets(data)
    device = pick_device("auto")
    encoders = {"encoder": Encoder.load(encoder, device=device)}
    out.mkdir(parents=True, exist_ok=True)
    if random:
        encoders["random"] = random_encoder(encoders["encoder"], out / "random-encoder").to(device)
    rows = run_suite(settings, config.parent, encoders, datasets, out)
    typer.echo(write_tables(rows, out))
    typer.echo(f"suite: {out / 'table.md'}")


def _datasets(given: list[str]) -> dict[str, Dataset]:
    """Raises UserError."""
    from raydino.artifacts.dataset import Dataset
    from raydino.errors import UserError

    found: dict[str, Dataset] = {}
    for word in given:
        name, equals, path = word.partition("=")
        if not equals or not path:
            raise UserError(f"--data {word!r}", remedy="NAME=DATASET, such as nih14=datasets/nih14")
        if name in found:
            raise UserError(f"--data names {name!r} twice", remedy="give one dataset a name")
        found[name] = Dataset.open(path)
    return found
