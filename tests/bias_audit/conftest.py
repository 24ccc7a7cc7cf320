"""A small simulated cohort, written once as CSV; and what the audit's four commands make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bias_audit.planted import Simulation, simulate
from raydino.artifacts.dataset import DATASET, DEMOGRAPHICS, MANIFEST
from raydino.artifacts.features import FEATURES, INDEX
from raydino.artifacts.header import creating
from raydino.cli import run


@pytest.fixture(scope="session")
def cohort() -> pd.DataFrame:
    return simulate(Simulation(patients=450, shift=3.5), np.random.default_rng(5))


@pytest.fixture
def csv(cohort: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "predictions.csv"
    cohort.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def audits(cohort: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each of the four commands writes, as its user gets it: report, compare, encoder, mitigate → directory."""
    work = tmp_path_factory.mktemp("audits")
    frame = cohort[cohort["label"].isin(["Pleural Effusion", "No Finding"])]
    half = frame["patient_id"].isin(frame["patient_id"].unique()[::2])
    rng = np.random.default_rng(1)
    tables = {
        "a_model_with_a_rather_long_name_and_no_space_in_it": frame.drop(columns="threshold"),
        "june": frame.assign(score=(frame["score"] + rng.normal(0, 0.05, len(frame))).clip(0, 1)),
        "val": frame[half],
        "test": frame[~half],
    }
    files = {name: work / f"{name}.csv" for name in tables}
    for name, table in tables.items():
        table.to_csv(files[name], index=False)
    may = files["a_model_with_a_rather_long_name_and_no_space_in_it"]
    metrics = "recipe.metrics=[auroc,sensitivity,specificity,underdiagnosis_rate,brier]"
    quick = ["--set", "recipe.bootstraps=100", "--set", metrics]
    mixed = ["--set", "recipe.case_mix=[age,site,view]", "--set", "recipe.permutations=9"]
    features, dataset = encoder_inputs(cohort, work)
    words = {
        "report": [
            str(may),
            "--demographics",
            str(dataset),
            "--by",
            "sex,site",
            *mixed,
            "--set",
            "recipe.reference={sex: M}",
        ],
        "compare": ["compare", str(may), str(files["june"]), "--by", "sex,site"],
        "encoder": ["encoder", str(features), "--demographics", str(dataset)],
        "mitigate": ["mitigate", str(files["val"]), str(files["test"]), "--by", "sex"],
    }
    for kind, one in words.items():
        assert run(["audit", *one, *quick, "--out", str(work / kind)]) == 0
    return {kind: work / kind for kind in words}


def encoder_inputs(cohort: pd.DataFrame, work: Path) -> tuple[Path, Path]:
    """A features artifact in which sex shows, and the dataset it is of."""
    films = cohort.drop_duplicates("sample_id")[["sample_id", "patient_id", "sex", "age_years", "site", "view"]]
    values = np.random.default_rng(0).normal(0, 1, (len(films), 8)) + (films["sex"] == "F").to_numpy()[:, None]
    with creating(work / "features", FEATURES, config={}) as partial:
        INDEX.write(films[["sample_id"]], partial / "index.parquet")
        np.save(partial / "cls.npy", values.astype(np.float32))
        np.save(partial / "patches.npy", values[:, None, None].astype(np.float32))
    manifest = films[["sample_id", "patient_id", "view"]].assign(source="test", status="accepted")
    manifest["split"] = np.where(films["patient_id"].isin(films["patient_id"].unique()[::3]), "test", "train")
    manifest = manifest.reindex(columns=[column.name for column in MANIFEST.columns])
    people = films.drop(columns="view").assign(population="UNKNOWN", race="UNKNOWN", insurance="UNKNOWN")
    with creating(work / "dataset", DATASET, config={"pixels": {}, "labels": [], "structures": []}) as partial:
        MANIFEST.write(manifest, partial / "manifest.parquet")
        DEMOGRAPHICS.write(people, partial / "demographics.parquet")
    return work / "features", work / "dataset"
