"""``raydino audit encoder``: features and a dataset's demographics in, probes, distances and a page out.

Features are read as arrays, so neither torch nor the encoder is needed. Neighbours: ``encoding`` (the figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bias_audit.axes import Axis, choose_axes
from bias_audit.encoding import Groups, components, distances, probe
from bias_audit.page import environment, flat
from bias_audit.plots import LINES, scatter
from bias_audit.render import heading, records
from bias_audit.rows import Floats
from bias_audit.settings import AuditConfig
from bias_audit.wording import interval, number
from raydino import __version__
from raydino.artifacts.audit import DISTANCES, ENCODING, PROBES
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.features import FEATURES, INDEX
from raydino.artifacts.header import creating, read_header, refuse_existing, write_json
from raydino.artifacts.strata_names import UNKNOWN
from raydino.errors import UserError
from raydino.tracking import console, track

CHANCE = 0.5  # AUROC of a probe that knows nothing
COMPONENTS = 10
SWAPS = 999
ROWS_AT_ONCE = 64
DRAWN = 2000  # films of a picture, at most


def read_features(path: Path, sample_ids: pd.Index) -> tuple[Floats, pd.Index]:
    """CLS token and mean patch of each film [films, 2 D] among ``sample_ids``, and the films, in the order of rows."""
    read_header(path, FEATURES)
    found = INDEX.read(path / "index.parquet")["sample_id"]
    rows = np.flatnonzero(found.isin(sample_ids))
    if not len(rows):
        raise UserError("no film of the features is in the dataset", where=path, remedy="pass the dataset they are of")
    cls, patches = (np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("cls", "patches"))
    blocks = [
        np.concatenate([cls[some], patches[some].mean(axis=(1, 2))], axis=1)
        for some in np.array_split(rows, max(1, len(rows) // ROWS_AT_ONCE))
    ]
    return np.concatenate(blocks).astype(np.float64), pd.Index(found.iloc[rows])


def audit_encoder(features: Floats, films: pd.DataFrame, axes: Sequence[Axis], config: AuditConfig) -> dict[str, Any]:
    """Probes and distances by axis, and places on the components. ``films``: patient_id and groups, a row a feature."""
    recipe = config.recipe
    patient = np.unique(films["patient_id"].to_numpy(str), return_inverse=True)[1].astype(np.int64)
    places, shares = components(features, COMPONENTS)
    groups: dict[str, Groups] = {axis.name: np.asarray(axis.assign(films), object) for axis in axes}
    site = _one_hot(groups["site"]) if "site" in groups else None
    probes, apart = [], []
    for name, group in track(list(groups.items()), "Axes"):
        seed = [recipe.seed, *name.encode()]
        found = probe(features, group, patient, recipe, np.random.default_rng(seed))
        row: dict[str, Any] = {"axis": name, "status": "too_few", "reason": "fewer than two groups of enough patients"}
        if found is not None:
            row |= {"status": "ok", "reason": None, "groups": ", ".join(found.groups)}
            row |= {"n_patients_fit": found.patients[0], "n_patients_read": found.patients[1]}
            row |= {"auroc": found.auroc, "ci_low": found.low, "ci_high": found.high}
            if site is not None and name != "site":
                alone = probe(site, group, patient, recipe, np.random.default_rng(seed))  # the same halves
                row["from_site"] = None if alone is None else alone.auroc
        probes.append(row)
        rng = np.random.default_rng([*seed, 1])
        table = distances(places, group, patient, min_patients=recipe.min_patients, swaps=SWAPS, rng=rng)
        apart.append(table.assign(axis=name))
    return {
        "probes": pd.DataFrame(probes)
        .reindex(columns=[c.name for c in PROBES.columns])
        .astype({"n_patients_fit": "Int64", "n_patients_read": "Int64"}),
        "distances": pd.concat(apart)[[c.name for c in DISTANCES.columns]].reset_index(drop=True),
        "places": places[:, :2],
        "shares": shares,
        "groups": groups,
    }


def _one_hot(group: Groups) -> Floats:
    return np.asarray(pd.get_dummies(pd.Series(group.astype(str))).to_numpy(np.float64))


def write_encoder_audit(
    features: Path, demographics: Path, by: str | None, config: AuditConfig, out: Path, *, overwrite: bool
) -> None:
    """Read, audit and write the artifact: probes.parquet, distances.parquet, report.json, report.html."""
    refuse_existing(out, overwrite=overwrite)
    dataset = Dataset.open(demographics)
    known = dataset.demographics.drop(columns="sample_id").join(dataset.manifest[["view", "manufacturer"]])
    values, index = read_features(features, known.index)
    films = known.loc[index].reset_index(drop=True)
    columns = [name for name in films.columns if name != "patient_id"]
    names = [one.strip() for one in by.split(",")] if by else ["sex", "age", "site", "population"]
    axes = choose_axes(names, columns, config.recipe.age_edges_years, skip_absent=by is None)
    found = audit_encoder(values, films, axes, config)
    inputs = {path.name: read_header(path).fingerprint for path in (features, demographics)}
    report = encoder_values(found, features.name, films, config, inputs)
    seed = config.recipe.seed
    with creating(out, ENCODING, config=config.resolved(), seed=seed, inputs=inputs, overwrite=overwrite) as partial:
        PROBES.write(found["probes"], partial / "probes.parquet")
        DISTANCES.write(found["distances"], partial / "distances.parquet")
        write_json(partial / "report.json", report)
        (partial / "report.html").write_text(encoder_html(report, found, axes, config), encoding="utf-8")
    console.print(f"Report: {out / 'report.html'}")


def encoder_values(
    found: dict[str, Any], source: str, films: pd.DataFrame, config: AuditConfig, inputs: dict[str, str]
) -> dict[str, Any]:
    """Everything that the page says, as JSON types."""
    return {
        **heading("encoder"),
        "summary": summary(found["probes"]),
        "source": source,
        "films": len(films),
        "patients": int(films["patient_id"].nunique()),
        "shares": [float(share) for share in found["shares"]],
        "probes": records(found["probes"]),
        "distances": records(found["distances"]),
        "methods": {"settings": config.resolved(), "producer": f"raydino {__version__}", "fingerprints": inputs},
    }


def summary(probes: pd.DataFrame) -> str:
    """Which axes the features tell of, in a sentence or two."""
    asked = probes[probes["status"] == "ok"]
    if asked.empty:
        return "Nothing could be asked: no axis has two groups of enough patients."
    told: dict[bool, list[str]] = {True: [], False: []}
    for row in asked.itertuples():
        words = f"{row.axis} (AUROC {number(row.auroc)}, {interval(row.ci_low, row.ci_high)})"
        told[row.ci_low > CHANCE].append(words)
    parts = [f"The features surely tell of {', '.join(told[True])}."] if told[True] else []
    parts += [f"Not shown for {', '.join(told[False])}."] if told[False] else []
    left = list(probes.loc[probes["status"] != "ok", "axis"])
    return " ".join([*parts, *([f"Could not be asked: {', '.join(left)}."] if left else [])])


def farthest(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The component along which each group lies farthest from everyone else."""
    return records(table.loc[table.groupby(["axis", "group"], sort=False)["ks"].idxmax()])


def encoder_html(report: dict[str, Any], found: dict[str, Any], axes: Sequence[Axis], config: AuditConfig) -> str:
    """The page as text."""
    titles = {axis.name: axis.title for axis in axes}
    step = max(1, -(-len(found["places"]) // DRAWN))
    shown = slice(None, None, step)
    pictures = []
    for name, group in found["groups"].items():
        if len(set(group.astype(str)) - {UNKNOWN}) < 2:
            continue  # all of one colour
        frequent = pd.Series(group.astype(str)).value_counts().index[: len(LINES)]
        points = [(str(one), found["places"][shown][group[shown] == one]) for one in frequent]
        pictures.append((titles[name], scatter(f"First two components by {titles[name].lower()}", points)))
    page = environment(titles).get_template("encoder.html")
    return page.render(
        report=report,
        recipe=config.recipe,
        pictures=pictures,
        farthest=farthest(found["distances"]),
        choices=flat(config.resolved()),
    )
