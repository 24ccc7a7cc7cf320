"""Probes find what is planted in features and nothing else; distances agree with scipy."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bias_audit.encoding import Sorted, components, distances, halves, probe
from bias_audit.settings import Recipe
from raydino.artifacts.audit import DISTANCES, PROBES
from raydino.artifacts.dataset import DATASET, DEMOGRAPHICS, MANIFEST
from raydino.artifacts.features import FEATURES, INDEX
from raydino.artifacts.header import creating
from raydino.cli import run

PATIENTS, DIMENSIONS = 240, 12
RECIPE = Recipe(bootstraps=100)


@pytest.fixture(scope="module")
def films() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with sex along one direction; films of a patient alike; and the patients of the films."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(PATIENTS), 3)
    sex = np.where(rng.random(PATIENTS) < 0.5, "F", "M").astype(object)
    sex[:12] = "UNKNOWN"
    of_patient = rng.normal(0, 1, (PATIENTS, DIMENSIONS))
    of_patient[:, 0] += np.where(sex == "F", 1.5, 0.0)
    return of_patient[patient] + rng.normal(0, 0.3, (len(patient), DIMENSIONS)), sex[patient], patient


def test_no_patient_is_on_both_sides(films: tuple) -> None:
    fitted = halves(films[2], np.random.default_rng(1))
    assert not set(films[2][fitted]) & set(films[2][~fitted])
    assert len(set(films[2][fitted])) == PATIENTS // 2


def test_a_planted_group_is_found_and_shuffled_ones_are_not(films: tuple) -> None:
    features, sex, patient = films
    found = probe(features, sex, patient, RECIPE, np.random.default_rng(2))
    assert found is not None
    assert found.groups == ("F", "M")
    assert found.low < found.auroc < found.high
    assert found.low > 0.6
    expected = stats.norm.cdf(1.5 / np.sqrt(2 * 1.09))  # of the direction that holds it
    assert found.auroc == pytest.approx(expected, abs=0.08)
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(20):
        shuffled = rng.permutation(sex[::3]).repeat(3)
        one = probe(features, shuffled, patient, RECIPE, rng)
        assert one is not None
        inside += one.low <= 0.5 <= one.high
    assert inside >= 17


def test_groups_of_few_patients_are_not_asked(films: tuple) -> None:
    features, _, patient = films
    rare = np.where(patient < 6, "X", "Y").astype(object)
    assert probe(features, rare, patient, RECIPE, np.random.default_rng(0)) is None


def test_distances_are_scipys_and_their_p_values_honest(films: tuple) -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 9, (60, 3)).astype(float)  # with ties
    inside = rng.random(60) < 0.4
    expected = [stats.ks_2samp(column[inside], column[~inside]).statistic for column in values.T]
    assert Sorted.of(values).ks(inside) == pytest.approx(expected)
    places, shares = components(films[0], 4)
    assert shares.sum() <= 1
    table = distances(places, films[1], films[2], min_patients=20, swaps=99, rng=rng)
    assert len(table) == 8
    assert table["p_value"].min() == pytest.approx(0.01)
    assert (table["p_adjusted"] >= table["p_value"]).all()
    null = distances(places, rng.permutation(films[1][::3]).repeat(3), films[2], min_patients=20, swaps=99, rng=rng)
    assert null["p_adjusted"].min() > 0.05


def test_the_command_reads_artifacts_without_torch(films: tuple, tmp_path: Path) -> None:
    features, sex, patient = films
    names = [f"film{row:04d}" for row in range(len(patient))]
    with creating(tmp_path / "features", FEATURES, config={}) as partial:
        INDEX.write(pd.DataFrame({"sample_id": names}), partial / "index.parquet")
        np.save(partial / "cls.npy", features.astype(np.float32))
        np.save(partial / "patches.npy", features[:, None, None].repeat(2, axis=1).astype(np.float32))
    people = pd.DataFrame({"sample_id": names, "patient_id": patient.astype(str), "age_years": 50.0, "sex": sex})
    people = people.assign(population="UNKNOWN", site=np.where(patient % 2, "A", "B"), race="UNKNOWN")
    manifest = people[["sample_id", "patient_id"]].assign(source="test", view="PA", status="accepted")
    for column in MANIFEST.columns:
        if column.name not in manifest:
            manifest[column.name] = None
    with creating(tmp_path / "dataset", DATASET, config={"pixels": {}, "labels": [], "structures": []}) as partial:
        MANIFEST.write(manifest, partial / "manifest.parquet")
        DEMOGRAPHICS.write(people.assign(insurance="UNKNOWN"), partial / "demographics.parquet")
    words = ["audit", "encoder", str(tmp_path / "features"), "--demographics", str(tmp_path / "dataset")]
    assert run([*words, "--out", str(tmp_path / "out"), "--set", "recipe.bootstraps=100"]) == 0
    probes = PROBES.read(tmp_path / "out" / "probes.parquet").set_index("axis")
    assert probes.loc["sex", "auroc"] > 0.7
    assert probes.loc["sex", "from_site"] == pytest.approx(0.5, abs=0.12)
    assert probes.loc["age", "status"] == "too_few"
    assert set(DISTANCES.read(tmp_path / "out" / "distances.parquet")["axis"]) == {"sex", "site"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["films"] == len(patient)
    assert "What the encoder knows" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
