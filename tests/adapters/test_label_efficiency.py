import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import adapters.resumable
from adapters.base import CommonRecipe
from adapters.targets import teaching_films
from raydino.artifacts.dataset import Dataset
from raydino.cli import run


def test_shares_are_of_patients_nested_and_seeded(dataset: Dataset) -> None:
    def films(share: float, seed: int = 0) -> set[str]:
        recipe = CommonRecipe(seed=seed, views=("PA", "AP", "UNKNOWN"), train_share=share)
        return set(teaching_films(dataset, "train", recipe))

    patients = dataset.accepted["patient_id"]
    whole = films(1.0)
    for seed in (0, 1):
        assert films(0.01, seed) <= films(0.1, seed) <= films(0.5, seed) <= whole
    assert films(0.5) != films(0.5, seed=1)
    chosen = films(0.5)
    assert {s for s in whole if patients[s] in set(patients[list(chosen)])} == chosen  # all films of a patient or none
    assert patients[list(films(0.01))].nunique() == 1
    assert len(teaching_films(dataset, "val", CommonRecipe(seed=0, views=("PA",), train_share=0.1))) == len(
        teaching_films(dataset, "val", CommonRecipe(seed=0, views=("PA",)))
    )


def test_the_curve_goes_on_where_it_was_stopped(
    classification_values: dict[str, Any],
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(classification_values))
    fits: list[float] = []
    real = adapters.resumable.fit

    def counted(config: Any, *rest: Any) -> Any:
        fits.append(config.recipe.train_share)
        return real(config, *rest)

    monkeypatch.setattr(adapters.resumable, "fit", counted)
    out = tmp_path / "curve"
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path), "--out", str(out), "--seeds", "2"]
    few = ["--set", "recipe.epochs=3", "--shares", "0.5"]
    assert run(["adapt", "label-efficiency", str(config), *shared, *few]) == 0
    assert fits == [0.5, 0.5]
    assert run(["adapt", "label-efficiency", str(config), *shared, *few, "--shares", "1"]) == 0
    assert fits == [0.5, 0.5, 1.0, 1.0]
    table = pd.read_csv(out / "table.csv")
    assert sorted(set(zip(table["share"], table["seed"], strict=True))) == [(0.5, 0), (0.5, 1), (1.0, 0), (1.0, 1)]
    means = table[table["label"] == "mean"]
    assert (means["figure"] == "auroc").all()
    assert ((means["low"] <= means["value"]) & (means["value"] <= means["high"])).all()
    metrics = json.loads((out / "share-1-seed-0" / "test" / "metrics.json").read_text())
    assert means["value"].iloc[2] == pytest.approx(metrics["headline"])
    assert (out / "curve.png").stat().st_size > 1000
    assert len(json.loads((out / "table.json").read_text())) == len(table)
    capfd.readouterr()
    assert run(["adapt", "label-efficiency", str(config), *shared, "--set", "recipe.epochs=4", "--shares", "1"]) == 2
    assert "made with another config" in capfd.readouterr().err
    assert run(["adapt", "label-efficiency", str(config), *shared, "--shares", "5"]) == 2
    assert "a share of 5 is not in 0..1" in capfd.readouterr().err
