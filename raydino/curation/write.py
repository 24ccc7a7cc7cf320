"""From what was decided to the selection artifact, its report and its pictures."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.artifacts.selection import PAIRS, ROWS, SELECTION
from raydino.curation.curate import Curated
from raydino.curation.duplicates import Pairs
from raydino.curation.material import Material
from raydino.curation.pair_sheet import write_pair_sheet
from raydino.curation.recipe import CurateRecipe
from raydino.curation.report import write_report
from raydino.errors import UserError
from raydino.train.distributed import is_main, wait_for_all

PAIR_SHEETS = ("pairs_of_two_patients.png", "pairs_of_one_patient.png")


@contextmanager
def working_directory(out: Path) -> Iterator[Path]:
    """``.OUT.curate`` beside ``out``: kept when anything goes wrong, so that the next try goes on; else removed."""
    work = out.with_name(f".{out.name}.curate")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=out) from None
    try:
        yield work
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError("the disk is full", where=work, remedy="free space and run again, it goes on") from error
        raise
    finally:
        with suppress(OSError):
            work.rmdir()  # where nothing was done yet
    wait_for_all()
    if is_main():
        shutil.rmtree(work, ignore_errors=True)


def write_selection(
    out: Path,
    curated: Curated,
    material: Material,
    dataset: Dataset | None,
    recipe: CurateRecipe,
    *,
    overwrite: bool = False,
) -> None:
    """Write the artifact. Its inputs are the pool's, and what was protected or sought after."""
    inputs = dict(material.pool.inputs)
    for role, sources in (("protected", material.protected_inputs), ("query", [q.inputs for q in material.queries])):
        for number, source in enumerate(sources, start=1):
            inputs |= {f"{role}_{number}_{name}": value for name, value in source.items()}
    config = {"recipe": recipe.resolved(), "found": _found(curated, material)}
    with creating(out, SELECTION, config=config, seed=recipe.seed, inputs=inputs, overwrite=overwrite) as directory:
        ROWS.write(curated.table, directory / "selection.parquet")
        sheets: list[Path] = []
        if curated.compared is not None and curated.threshold is not None:
            alike = curated.compared.where(curated.compared.similarities >= curated.threshold)
            PAIRS.write(_pairs_table(alike, material), directory / "pairs.parquet")
            sheets = _pair_sheets(directory, curated.compared, curated.threshold, material)
        write_report(
            directory,
            selection=curated.table,
            hierarchy=curated.hierarchy,
            embeddings_ids=curated.clustered,
            dataset=dataset,
            settings=config,
            inputs=inputs,
            pairs_sheet=sheets[0] if sheets else None,
        )


def _pair_sheets(directory: Path, compared: Pairs, threshold: float, material: Material) -> list[Path]:
    """Pictures of the pairs around the threshold. Those of two patients come first: they are red flags or errors."""
    if not material.film_sources:
        return []
    one_patient, written = material.known.one_patient(compared), []
    for name, kept in zip(PAIR_SHEETS, (~one_patient, one_patient), strict=True):
        if kept.any():
            write_pair_sheet(directory / name, material.films(), material.known, compared.where(kept), threshold)
            written.append(directory / name)
    return written


def _pairs_table(alike: Pairs, material: Material) -> pd.DataFrame:
    ids = np.asarray(material.known.ids, object)
    return pd.DataFrame(
        {
            "first": ids[alike.rows[:, 0]],
            "second": ids[alike.rows[:, 1]],
            "similarity": alike.similarities.astype(np.float64),
            "one_patient": material.known.one_patient(alike),
        }
    )


def _found(curated: Curated, material: Material) -> dict[str, Any]:
    """What the header tells of how the decisions came about."""
    found: dict[str, Any] = {}
    if curated.compared is not None and curated.threshold is not None:
        alike = curated.compared.where(curated.compared.similarities >= curated.threshold)
        one_patient = material.known.one_patient(alike)
        found["threshold"] = curated.threshold
        found["pairs"] = {"of_one_patient": int(one_patient.sum()), "of_two_patients": int((~one_patient).sum())}
    if curated.calibration is not None:
        found["calibration"] = asdict(curated.calibration)
    if curated.hierarchy is not None:
        found["clusters"] = [len(level.centroids) for level in curated.hierarchy.levels]
    return found
