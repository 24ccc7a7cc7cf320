"""``raydino pretrain``: self-supervised pretraining of a ViT on a dataset, in one process or in many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from raydino.train.launch import SlurmJob

_SLURM = "With --launcher slurm"


def pretrain(
    config: Annotated[Path, typer.Argument(help="A YAML of configs/pretrain/ or configs/tiny/pretrain.yaml.")],
    data: Annotated[Path, typer.Option(help="A dataset made by raydino ingest. Only its training films are used.")],
    out: Annotated[Path, typer.Option(help="The run directory: checkpoints, metrics, curves, the newest encoder.")],
    selection: Annotated[
        Path | None, typer.Option(help="A selection made by raydino curate: which films, and how often.")
    ] = None,
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
    launcher: Annotated[
        Literal["here", "slurm"], typer.Option(help="Run here, or submit to SLURM with submitit.")
    ] = "here",
    nodes: Annotated[int, typer.Option(min=1, help="Number of machines.", rich_help_panel=_SLURM)] = 1,
    gpus_per_node: Annotated[
        int, typer.Option(min=0, help="GPUs of each machine, one process each.", rich_help_panel=_SLURM)
    ] = 1,
    partition: Annotated[str | None, typer.Option(help="SLURM partition.", rich_help_panel=_SLURM)] = None,
    hours: Annotated[
        float, typer.Option(min=0.1, help="Time; then it is requeued and goes on.", rich_help_panel=_SLURM)
    ] = 24.0,
    cpus_per_task: Annotated[int, typer.Option(min=1, help="CPUs of each process.", rich_help_panel=_SLURM)] = 8,
    slurm: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another sbatch option, e.g. account=lab.", rich_help_panel=_SLURM),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the sbatch script and submit nothing.", rich_help_panel=_SLURM)
    ] = False,
) -> int:
    """Pretrain an encoder with DINOv2's objective (DINO + iBOT + KoLeo) on the training films of a dataset.

    SIGTERM, SIGINT and SIGUSR1 end it with a checkpoint; --resume continues the same trajectory.
    On several GPUs: torchrun --nproc-per-node 8 -m raydino pretrain … (docs/cluster.md).

    Example: raydino pretrain configs/tiny/pretrain.yaml --data demo/dataset --out demo/run
    """
    overrides = set_ or []
    if launcher == "here":
        return _run(config, data, out, overrides, selection, resume, stop_after, overwrite)
    words = ["pretrain", str(config.resolve()), "--data", str(data.resolve()), "--out", str(out.resolve())]
    words += [word for override in overrides for word in ("--set", override)]
    words += ["--selection", str(selection.resolve())] if selection else []
    words += ["--stop-after", str(stop_after)] if stop_after else []
    words += ["--resume"] if resume else []
    words += ["--overwrite"] if overwrite else []

    from raydino.artifacts.dataset import Dataset
    from raydino.config import load_config
    from raydino.data.pool import Pool
    from raydino.ssl.recipe import PretrainConfig
    from raydino.train.launch import SlurmJob, slurm_options

    load_config(config, PretrainConfig, overrides)  # a fault shows now, not when the job comes up
    Pool.of(Dataset.open(data), selection)
    job = SlurmJob(
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        partition=partition,
        hours=hours,
        cpus_per_task=cpus_per_task,
        options=slurm_options(slurm or []),
    )
    return _submit(words, job, out, dry_run)


def _run(
    config: Path,
    data: Path,
    out: Path,
    overrides: list[str],
    selection: Path | None,
    resume: bool,
    stop_after: int | None,
    overwrite: bool,
) -> int:
    """The run itself, in each process alike. Exit code 0, or 128 + the number of the signal that ended it."""
    from raydino.artifacts.dataset import Dataset
    from raydino.artifacts.header import HEADER_NAME
    from raydino.config import load_config
    from raydino.data.pool import Pool
    from raydino.ssl.recipe import PretrainConfig
    from raydino.ssl.run import pretrain as run_pretraining
    from raydino.train.distributed import agreed_max, is_main, process_group
    from raydino.train.launch import restarted
    from raydino.train.stopping import stopping_on_signals

    with process_group():
        loaded = load_config(config, PretrainConfig, overrides)
        dataset = Dataset.open(data)
        begun = restarted() and (out / HEADER_NAME).is_file()
        resume = resume or agreed_max(begun) > 0  # before any rank makes the directory
        with stopping_on_signals() as stop:
            run = run_pretraining(
                loaded,
                dataset,
                out,
                resume=resume,
                overwrite=overwrite,
                stop_after=stop_after,
                stop=stop,
                pool=Pool.of(dataset, selection),
            )
        total, curves = loaded.recipe.steps, out / "curves.png"
        if is_main():
            typer.echo(f"{out}: {run.step} of {total} steps, encoder in {out / 'encoder'}, curves in {curves}")
            if run.step < total:
                typer.echo("continue with --resume")
    return 128 + stop.number if stop.number and run.step < total else 0


def _submit(words: list[str], job: SlurmJob, out: Path, dry_run: bool) -> int:
    """Print the script, or hand ``raydino words…`` to sbatch. Logs stand beside the run."""
    from raydino.cli import run
    from raydino.train.launch import Program, script, submit

    logs = out.resolve().with_name(f"{out.name}.slurm")
    if dry_run:
        typer.echo(script(job, logs / "%j"))
        return 0
    number = submit(Program(run, words), job, logs / "%j")
    typer.echo(f"job {number} submitted, logs in {logs / number}")
    return 0
