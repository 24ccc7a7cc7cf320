"""``raydino curate``: which films of a pool a pretraining should read, and how often."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pandas import DataFrame

    from raydino.artifacts.dataset import Dataset
    from raydino.curation.material import Material
    from raydino.curation.recipe import CurateConfig


def curate(
    source: Annotated[
        Path, typer.Argument(help="A dataset (with --encoder), features, or embeddings: .parquet, .npy + .ids.txt.")
    ],
    config: Annotated[Path, typer.Option(help="A YAML of configs/curate/.")],
    out: Annotated[Path, typer.Option(help="The selection directory to write.")],
    encoder: Annotated[
        Path | None, typer.Option(help="An encoder or a run, which turns films into vectors. Copies alone need none.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The dataset that features are of: brings films, splits and patients.")
    ] = None,
    protect: Annotated[
        list[Path] | None,
        typer.Option(help="What must not leak in: further datasets, or embeddings where SOURCE is. Repeat it."),
    ] = None,
    queries: Annotated[
        list[Path] | None, typer.Option(help="Curated sets that retrieval looks for, as SOURCE may be. Repeat it.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one key, e.g. recipe.seed=1.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a selection that is already there.")] = False,
) -> None:
    """Curate a pool: remove duplicates and leaks, retrieve, cluster hierarchically, sample in balance; and report it.

    Of a dataset only training films are selected from; its validation and test films are protected: what copies them
    leaves the pool. Work is kept in .OUT.curate beside OUT until it is done, so a command that was killed goes on.

    Example: raydino curate dataset --encoder run --config configs/curate/balanced.yaml --out selection
    """
    from raydino.artifacts.header import refuse_existing
    from raydino.artifacts.selection import SELECTION
    from raydino.config import load_config
    from raydino.curation.curate import curate as run_curation
    from raydino.curation.recipe import CurateConfig
    from raydino.curation.write import working_directory, write_selection
    from raydino.train.distributed import is_main, local_rank, process_group, wait_for_all
    from raydino.train.precision import pick_device

    with process_group():
        loaded = load_config(config, CurateConfig, set_ or [])
        refuse_existing(out, overwrite=overwrite, schema=SELECTION)
        wait_for_all()  # nobody writes before everybody has looked
        device = str(pick_device(loaded.runtime.device, local_rank=local_rank()))
        with working_directory(out) as work:
            material, dataset = _material(source, data, encoder, protect or [], queries or [], loaded, work, device)
            curated = run_curation(material, loaded.recipe, work=work, device=device)
            if is_main():
                write_selection(out, curated, material, dataset, loaded.recipe, overwrite=overwrite)
        if is_main():
            _tell(out, curated.table)


def _tell(out: Path, table: DataFrame) -> None:
    """What became of the pool, and where the report is."""
    counts = table["reason"].value_counts()
    left_out = ", ".join(f"{number:,} {str(reason).replace('_', ' ')}" for reason, number in counts.items()) or "none"
    typer.echo(f"{out}: {int(table['selected'].sum()):,} of {len(table):,} selected; left out: {left_out}")
    typer.echo(f"report: {out / 'report.html'}")


def _material(
    source: Path,
    data: Path | None,
    encoder: Path | None,
    protect: list[Path],
    queries: list[Path],
    config: CurateConfig,
    work: Path,
    device: str,
) -> tuple[Material, Dataset | None]:
    """What the paths bring."""
    import numpy as np

    from raydino.artifacts.dataset import Dataset
    from raydino.curation.embeddings import Embeddings, open_embeddings
    from raydino.curation.film_vectors import film_vectors
    from raydino.curation.material import material_of_films, material_of_vectors, of_training
    from raydino.encoder import Encoder
    from raydino.errors import UserError

    kind = config.recipe.readout
    loaded = None if encoder is None else Encoder.load(encoder, device=device)

    def opened(path: Path, *splits: str) -> Embeddings:
        if not _is_dataset(path):
            return open_embeddings(path, kind=kind, work=work)
        dataset = Dataset.open(path)
        ids = dataset.sample_ids(*splits)
        if loaded is None and config.recipe.needs_vectors:
            raise UserError("a dataset needs --encoder to become vectors", where=path)
        if loaded is None:
            return Embeddings(ids, np.empty((len(ids), 0), np.float32), {"dataset": dataset.header.fingerprint})
        return film_vectors(loaded, dataset, ids, kind=kind, work=work, batch_size=config.runtime.batch_size)

    found = [opened(path) for path in queries]
    if _is_dataset(source) or data is not None:
        dataset = Dataset.open(source if _is_dataset(source) else data)  # type: ignore[arg-type]
        dataset.require_disjoint_patients()
        pool = opened(source, "train")
        others = [Dataset.open(path) for path in protect]
        return material_of_films(of_training(pool, dataset, source), dataset, others, found), dataset
    return material_of_vectors(opened(source), [opened(path) for path in protect], found), None


def _is_dataset(path: Path) -> bool:
    from raydino.artifacts.dataset import DATASET
    from raydino.artifacts.header import HEADER_NAME, read_header

    return (path / HEADER_NAME).is_file() and read_header(path).schema == DATASET.name
