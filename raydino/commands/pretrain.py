"""``raydino pretrain``: self-supervised pretraining of a ViT on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    config: Annotated[Path, typer.Argument(help="A YAML of configs/pretrain/ or configs/tiny/pretrain.yaml.")],
    data: Annotated[Path, typer.Option(help="A dataset made by raydino ingest. Only its training films are used.")],
    out: Annotated[Path, typer.Option(help="The run directory: checkpoints, metrics, curves, the newest encoder.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --out, from its last checkpoint.")
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key, e.g. recipe.steps=2000.")
    ] = None,
    stop_after: Annotated[
        int | None, typer.Option(min=1, help="Stop with a checkpoint after this many steps in all; --resume goes on.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already there.")] = False,
) -> int:
    """Pretrain an encoder with DINOv2's objective (DINO + iBOT + KoLeo) on the training films of a dataset.

    SIGTERM, SIGINT and SIGUSR1 end it with a checkpoint; --resume continues the same trajectory.

    Example: raydino pretrain configs/tiny/pretrain.yaml --data demo/dataset --out demo/run
    """
    from raydino.artifacts.dataset import Dataset
    from raydino.config import load_config
    from raydino.ssl.recipe import PretrainConfig
    from raydino.ssl.run import pretrain as run_pretraining
    from raydino.train.loop import stopping_on_signals

    loaded = load_config(config, PretrainConfig, set_ or [])
    dataset = Dataset.open(data)
    with stopping_on_signals() as stop:
        run = run_pretraining(
            loaded, dataset, out, resume=resume, overwrite=overwrite, stop_after=stop_after, stop=stop
        )
        interrupted = stop.is_set()
    total = loaded.recipe.steps
    typer.echo(f"{out}: {run.step} of {total} steps, encoder in {out / 'encoder'}, curves in {out / 'curves.png'}")
    if run.step < total:
        typer.echo("continue with --resume")
    return 130 if interrupted else 0
