"""Does an adapter hold on patients unlike those it was fitted on? Fit on one group, test on all; and on mixtures.

Every fit learns from equally many patients, as many as the smallest group has, so that what differs is who they
are. In distribution (ID): the test group is the one fitted on; else out of distribution (OOD). Fits are kept as in
``label_efficiency``; each leaves a predictions artifact for ``raydino audit``. Protocol: the sampling ratios of
Larrazabal 2020 (sex in training against performance by sex). Neighbours: ``resumable``, ``transfer_figure``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.attributes import COLUMNS, MANIFEST_COLUMNS, age_bands
from adapters.base import AdapterConfig
from adapters.intervals import PatientBootstrap, interval, mean_over_labels
from adapters.metrics import auroc
from adapters.resumable import Source, encoded, measured
from adapters.targets import films_answering, films_of
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features

Floats = npt.NDArray[np.float64]
LEAST_PATIENTS = 2  # of a group in each split that is used; fewer is no group


@dataclass(frozen=True)
class Mixture:
    """Whom one fit learns from: question → training patients. ``share`` of the varied group, None where none is."""

    patients: dict[str, int]
    share: float | None

    @property
    def group(self) -> str | None:
        """The only group fitted on, if there is one."""
        return next(iter(self.patients)) if len(self.patients) == 1 else None

    @property
    def name(self) -> str:
        """Such as ``sex=F`` or ``60 sex=F + 20 sex=M``."""
        return self.group or " + ".join(f"{count} {question}" for question, count in self.patients.items())

    def folder(self, seed: int) -> str:
        """Its name without signs that a file name should not hold."""
        return (
            re.sub(r"[^\w.]+", "-", self.name.replace("<=", "-upto-").replace("<", "-below-")).strip("-") + f"-{seed}"
        )


def groups_by(by: str, dataset: Dataset) -> list[str]:
    """Questions that part the patients: a column (``sex``, ``age``), or questions by commas (``age<40,age>=60``)."""
    if by == "age":
        return age_bands()
    if by in COLUMNS:
        table = dataset.accepted if by in MANIFEST_COLUMNS else dataset.demographics
        return [f"{by}={value}" for value in sorted(set(table[by].dropna().astype(str)) - {"UNKNOWN"})]
    return [word.strip() for word in by.split(",") if word.strip()]


def patients_of(groups: Iterable[str], dataset: Dataset, config: AdapterConfig, split: str) -> dict[str, int]:
    """Group → its training patients, of the groups that have some in train, val and ``split``.

    Raises UserError where these are fewer than two.
    """
    found: dict[str, int] = {}
    for group in groups:
        counts = [_count(group, dataset, config, name) for name in ("train", "val", split)]
        if min(counts) >= LEAST_PATIENTS:
            found[group] = counts[0]
    if len(found) < 2:
        there = ", ".join(found) or "none"
        raise UserError(
            f"fewer than two groups have {LEAST_PATIENTS} patients in train, val and {split} ({there})",
            where=dataset.path,
            remedy="--by sex, age, site, or questions by commas: --by 'age<40,age>=60'",
        )
    return found


def _count(group: str, dataset: Dataset, config: AdapterConfig, split: str) -> int:
    ids = films_of(dataset, split, config.recipe.views)
    try:
        return int(dataset.accepted.loc[films_answering(dataset, split, group, ids), "patient_id"].nunique())
    except UserError as error:
        if "holds no film of" in error.what:
            return 0
        raise


def mixtures(available: Mapping[str, int], varied: str | None, shares: Sequence[float]) -> list[Mixture]:
    """One fit a group, then mixtures with ``shares`` of ``varied``; the rest is taken evenly from all others.

    Each holds as many patients as the smallest group has.
    """
    n = min(available.values())
    others = [group for group in available if group != varied]
    alone = {1.0: varied, 0.0: others[0] if len(others) == 1 else None} if varied else {}
    share_of = {group: share for share, group in alone.items()}
    fits = [Mixture({group: n}, share_of.get(group)) for group in available]
    if varied is None:
        return fits
    for share in sorted(set(shares)):
        count = round(share * n)
        rest = [(n - count + k) // len(others) for k in range(len(others))]
        patients = {varied: count, **dict(zip(others, rest, strict=True))}
        patients = {group: some for group, some in patients.items() if some > 0}
        if len(patients) > 1:
            fits.append(Mixture(patients, share))
    return fits


def transfer(
    config: AdapterConfig,
    encoder: Encoder,
    dataset: Dataset,
    features: Features | None,
    directory: Path,
    *,
    fits: Sequence[Mixture],
    groups: Sequence[str],
    n_seeds: int,
    split: str,
) -> pd.DataFrame:
    """Fit and predict what is not yet in ``directory``; write and return one row a fit, test group and label.

    Columns: fit, share, seed, n_train (films), test_group, in_distribution, label (``mean`` over those that every fit
    and test group has), n_patients, auroc, low, high (95 % over patients); gap: the AUROC less that of the fit on the
    test group alone, of the same seed and films, with its interval.
    """
    if features is None:
        features = encoded(config, encoder, dataset, split)
    tables: dict[tuple[str, int], tuple[Mixture, int, pd.DataFrame]] = {}
    for one in fits:
        for seed in range(config.recipe.seed, config.recipe.seed + n_seeds):
            recipe = config.recipe.model_copy(update={"mix": one.patients, "seed": seed})
            mine, at = config.model_copy(update={"recipe": recipe}), directory / one.folder(seed)
            found = measured(mine, encoder, Source(dataset, features), at, split)
            tables[one.name, seed] = (one, found.n_train, found.predictions.table)
    rows = compared({key: table for key, (_, _, table) in tables.items()}, dataset, groups, split)
    for row in rows:
        one, n_train, _ = tables[row["fit"], row["seed"]]
        row |= {"share": one.share, "n_train": n_train, "in_distribution": one.group == row["test_group"]}
    columns = ["fit", "share", "seed", "n_train", "test_group", "in_distribution", "label", "n_patients"]
    table = pd.DataFrame(rows)[[*columns, "auroc", "low", "high", "gap", "gap_low", "gap_high"]]
    table.to_csv(directory / "table.csv", index=False)
    write_json(directory / "table.json", json.loads(table.to_json(orient="records", double_precision=15)))
    return table


def compared(
    tables: Mapping[tuple[str, int], pd.DataFrame], dataset: Dataset, groups: Sequence[str], split: str
) -> list[dict[str, Any]]:
    """Figures of every fit (name, seed) in every test group; the same draws of patients serve all fits."""
    if any("score" not in table for table in tables.values()):
        raise UserError("transfer compares AUROCs, so the config must be of a classification adapter")
    common = set.intersection(*(set(table["label"]) for table in tables.values()))
    seen: dict[tuple[str, int, str], dict[str, tuple[float | None, Floats]]] = {}
    patients = {}
    for group in groups:
        any_table = next(iter(tables.values()))
        inside = set(films_answering(dataset, split, group, list(any_table["sample_id"].unique())))
        films = any_table[any_table["sample_id"].isin(inside)].drop_duplicates("sample_id")["patient_id"]
        patients[group], bootstrap = films.nunique(), PatientBootstrap(films.tolist())
        for (name, seed), table in tables.items():
            mine = table[table["sample_id"].isin(inside)]
            seen[name, seed, group] = {
                str(label): _figure(rows, bootstrap) for label, rows in mine.groupby("label", sort=True)
            }
    defined = [label for label in sorted(common) if all(one[label][0] is not None for one in seen.values())]
    rows = []
    for (name, seed, group), figures in seen.items():
        mean = _mean(figures, defined)
        own = seen.get((group, seed, group)) if name != group else None
        own = own and {"mean": _mean(own, defined), **own}
        for label, (value, drawn) in {"mean": mean, **figures}.items():
            row = {"fit": name, "seed": seed, "test_group": group, "label": label, "n_patients": patients[group]}
            rows.append(row | _ends(value, drawn) | _gap(value, drawn, (own or {}).get(label)))
    return rows


def _figure(rows: pd.DataFrame, bootstrap: PatientBootstrap) -> tuple[float | None, Floats]:
    target, score = rows["target"].to_numpy(np.float64), rows["score"].to_numpy(np.float64)
    value = auroc(target, score)
    return value, np.full(1, np.nan) if value is None else bootstrap.auroc(target, score)


def _mean(figures: Mapping[str, tuple[float | None, Floats]], labels: Sequence[str]) -> tuple[float | None, Floats]:
    values = [value for label in labels if (value := figures[label][0]) is not None]
    if not values:
        return None, np.full(1, np.nan)
    return float(np.mean(values)), mean_over_labels([figures[label][1] for label in labels])


def _ends(value: float | None, drawn: Floats) -> dict[str, Any]:
    low, high = interval(drawn)
    return {"auroc": value, "low": low, "high": high}


def _gap(value: float | None, drawn: Floats, own: tuple[float | None, Floats] | None) -> dict[str, Any]:
    if own is None or own[0] is None or value is None:
        return {"gap": None, "gap_low": None, "gap_high": None}
    low, high = interval(drawn - own[1])
    return {"gap": value - own[0], "gap_low": low, "gap_high": high}
