"""Fitted on one group, tested on all: equal numbers of patients, honest figures, and a run that goes on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

import adapters.resumable
from adapters.base import CommonRecipe
from adapters.targets import films_answering, films_of, teaching_films
from adapters.transfer import Mixture, groups_by, mixtures
from raydino.artifacts.dataset import Dataset
from raydino.cli import run
from raydino.errors import UserError

VIEWS = ("PA", "AP", "LATERAL", "UNKNOWN")


def test_mixtures_hold_equally_many_patients() -> None:
    fits = mixtures({"sex=F": 30, "sex=M": 20}, "sex=F", [0.0, 0.25, 0.5, 0.75, 1.0])
    assert [(one.patients, one.share) for one in fits] == [
        ({"sex=F": 20}, 1.0),
        ({"sex=M": 20}, 0.0),
        ({"sex=F": 5, "sex=M": 15}, 0.25),
        ({"sex=F": 10, "sex=M": 10}, 0.5),
        ({"sex=F": 15, "sex=M": 5}, 0.75),
    ]
    three = mixtures({"A": 9, "B": 8, "C": 30}, "B", [0.0, 0.5])
    assert all(sum(one.patients.values()) == 8 for one in three)
    assert three[3].patients == {"A": 4, "C": 4}
    assert three[4].patients == {"B": 4, "A": 2, "C": 2}
    assert [one.share for one in mixtures({"A": 9, "B": 8, "C": 30}, None, [0.5])] == [None] * 3
    names = {Mixture({group: 1}, None).folder(0) for group in ("age<18", "18<=age<40", "age>=80", "sex=F")}
    assert len(names) == 4
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzF0123456789-._") for name in names)


def test_a_mixture_is_of_patients_nested_and_seeded(dataset: Dataset) -> None:
    patient, years = dataset.accepted["patient_id"].astype(str), dataset.demographics["age_years"]

    def films(split: str, seed: int = 0, **mix: int) -> list[str]:
        asked = {{"young": "age<50", "old": "age>=50"}[name]: count for name, count in mix.items()}
        return teaching_films(dataset, split, CommonRecipe(seed=seed, views=VIEWS, mix=asked))

    def patients(ids: list[str]) -> tuple[int, int]:
        return len({patient[s] for s in ids if years[s] < 50}), len({patient[s] for s in ids if years[s] >= 50})

    few, many = films("train", young=2, old=1), films("train", young=3, old=4)
    assert (patients(few), patients(many)) == ((2, 1), (3, 4))
    assert set(few) < set(many)
    assert any(set(films("train", seed, young=2, old=1)) != set(few) for seed in (1, 2, 3))
    young, old = patients(films("val", young=2, old=2))
    assert young == old > 0
    assert patients(films("val", old=2))[0] == 0
    with pytest.raises(UserError, match="the mix asks for 900"):
        films("train", old=900)


def test_groups_are_asked_for_by_column_or_question(dataset: Dataset) -> None:
    assert groups_by("sex", dataset) == ["sex=F", "sex=M"]
    assert groups_by("age", dataset) == ["age<18", "18<=age<40", "40<=age<60", "60<=age<80", "age>=80"]
    assert groups_by("age<40, age>=60", dataset) == ["age<40", "age>=60"]


def test_the_command_fits_compares_draws_and_goes_on(
    classification_values: dict[str, Any],
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    classification_values["recipe"] |= {"labels": ["Pleural Effusion", "Cardiomegaly"], "views": list(VIEWS)}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(classification_values))
    fits: list[dict[str, int]] = []
    real = adapters.resumable.fit

    def counted(config: Any, *rest: Any) -> Any:
        fits.append(config.recipe.mix)
        return real(config, *rest)

    monkeypatch.setattr(adapters.resumable, "fit", counted)
    out = tmp_path / "out"
    words = ["adapt", "transfer", str(config), "--encoder", str(encoder_path), "--data", str(dataset.path)]
    words += ["--out", str(out), "--set", "recipe.epochs=3", "--by", "age<50,age>=50", "--shares"]
    assert run([*words, "1"]) == 0
    assert len(fits) == 2
    assert run([*words, "0.5"]) == 0
    assert len(fits) == 3
    assert len({sum(mix.values()) for mix in fits}) == 1
    table = pd.read_csv(out / "table.csv")
    assert set(table["test_group"]) == {"age<50", "age>=50"}
    assert table[table["in_distribution"]]["gap"].isna().all()
    apart = table[(table["fit"] == "age<50") & (table["test_group"] == "age>=50")].set_index("label")
    alone = table[(table["fit"] == "age>=50") & (table["test_group"] == "age>=50")].set_index("label")
    for label in apart.index.intersection(alone.index):
        if np.isfinite(apart.loc[label, "auroc"]):
            assert apart.loc[label, "gap"] == pytest.approx(apart.loc[label, "auroc"] - alone.loc[label, "auroc"])
            assert apart.loc[label, "gap_low"] <= apart.loc[label, "gap_high"]
    predictions = pd.read_parquet(next(out.glob("age-below-50-0")) / "test" / "predictions.parquet")
    inside = films_answering(dataset, "test", "age>=50", films_of(dataset, "test", VIEWS))
    rows = predictions[predictions["sample_id"].isin(inside) & predictions["target"].notna()]
    for label, mine in rows.groupby("label"):
        if mine["target"].nunique() == 2:
            assert apart.loc[str(label), "auroc"] == pytest.approx(roc_auc_score(mine["target"], mine["score"]))
    assert (out / "transfer.png").stat().st_size > 1000
    assert len(json.loads((out / "table.json").read_text())) == len(table)
    capfd.readouterr()
    assert run([*words, "2"]) == 2
    assert "a share of 2 is not in 0..1" in capfd.readouterr().err
    assert run([*words, "1", "--vary", "sex=F"]) == 2
    assert "none of the groups" in capfd.readouterr().err
    assert run([*words[:-3], "--by", "sex=F"]) == 2
    assert "fewer than two groups" in capfd.readouterr().err
