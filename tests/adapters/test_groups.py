"""Who belongs to which group, on the tiny dataset of all tests of adapters."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from adapters.batches import FilmFeatures, Split
from adapters.bundle import load_adapter, write_bundle
from adapters.classification.linear import LinearConfig
from adapters.fit import fit
from adapters.groups import GroupedBy, group_of, grouped, pools
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features


@pytest.fixture
def known(dataset: Dataset) -> Dataset:
    """The dataset with sexes and ages that the test knows, and labels known to all."""
    changed = Dataset(dataset.path, dataset.header)
    people = dataset.demographics.copy()
    people["sex"] = np.resize(["F", "F", "M", "M", "M"], len(people))
    people["age_years"] = np.resize([10.0, 30.0, 50.0, 90.0, np.nan], len(people))
    people.loc[people.index[:4], "sex"] = ["O", "UNKNOWN", None, "O"]
    changed.__dict__.update(demographics=people, labels=dataset.labels)
    return changed


def test_groups_are_columns_bands_and_questions_crossed(known: Dataset) -> None:
    ids = list(known.demographics.index[:10])
    assert list(group_of(["sex"], known, ids)[:6]) == ["O", "UNKNOWN", "UNKNOWN", "O", "M", "F"]
    assert list(group_of(["age"], known, ids)[:5]) == ["age<18", "18<=age<40", "40<=age<60", "age>=80", "UNKNOWN"]
    both = group_of(["sex", "age>=50"], known, ids)
    assert list(both[5:10]) == ["F × not age>=50", "F × not age>=50", "M × age>=50", "M × age>=50", "M × UNKNOWN"]


@pytest.mark.parametrize(
    ("by", "message"),
    [("sxe", "did you mean 'sex'"), ("hospital", "no such column"), ("age>=old", "no question to a column")],
)
def test_a_column_that_is_not_there_is_one_line(by: str, message: str, dataset: Dataset) -> None:
    with pytest.raises(UserError, match=message) as raised:
        group_of([by], dataset, dataset.sample_ids("train"))
    assert "\n" not in str(raised.value)


def test_small_groups_are_pooled_until_there_are_enough_patients() -> None:
    counts = {("F", "train"): 30, ("F", "val"): 12, ("M", "train"): 40, ("M", "val"): 15}
    counts |= {("O", "train"): 3, ("UNKNOWN", "train"): 9, ("UNKNOWN", "val"): 9}
    rows = [(g, f"{g}{i}", part) for (g, part), n in counts.items() for i in range(n)]
    films = pd.DataFrame(rows, columns=["group", "patient_id", "part"])
    assert pools(films, 1) == {"F": "F", "M": "M", "O": "O + UNKNOWN", "UNKNOWN": "O + UNKNOWN"}  # O: nobody in val
    assert pools(films, 9)["O"] == "O + UNKNOWN"
    three = pools(films, 10)  # both small ones are too few together: the next larger joins
    assert three == {"F": "F + O + UNKNOWN", "M": "M", "O": "F + O + UNKNOWN", "UNKNOWN": "F + O + UNKNOWN"}
    assert set(pools(films, 99).values()) == {"F + M + O + UNKNOWN"}
    assert pools(films.sample(frac=1, random_state=0), 10) == three
    twice = pd.concat([films, films[films["group"] == "O"]])  # films of the same patients add nobody
    assert pools(twice, 10) == three


def _splits(dataset: Dataset, features: Features, labels: list[str]) -> tuple[Split, Split]:
    parts = []
    for split in ("train", "val"):
        ids = dataset.sample_ids(split)
        target = torch.from_numpy(dataset.labels.loc[ids, labels].to_numpy(np.float32, na_value=np.nan, copy=True))
        parts.append(Split(FilmFeatures(features, ids), target))
    return parts[0], parts[1]


def test_a_label_has_the_groups_of_the_films_that_know_it(known: Dataset, features: Features) -> None:
    labels = ["Cardiomegaly", "Nodule"]
    train, val = _splits(known, features, labels)
    women = group_of(["sex"], known, train.films.sample_ids) == "F"
    targets = train.targets.clone()
    targets[:, 1] = torch.where(torch.from_numpy(women), targets[:, 1], torch.nan)
    both, names = grouped(
        (replace(train, targets=targets), val), known, GroupedBy(by=("sex",), min_patients=3), labels, classes=False
    )
    assert both[0].groups is not None
    assert {"F", "M"} <= {word for name in names[0] for word in name.split(" + ")}
    assert bool(((both[0].groups >= 0) == targets.isfinite()).all())
    assert len(names[1]) == 1  # nobody but women knows it in training: one group, the plain mean
    only = GroupedBy(by=("sex",), min_patients=3)
    with pytest.raises(UserError, match="there is one group only"):
        grouped((replace(train, targets=targets[:, 1:]), replace(val, targets=val.targets[:, 1:])), known, only,
                ["Nodule"], classes=False)  # fmt: skip


@pytest.mark.parametrize(
    "objective",
    [
        {"kind": "reweighing", "weights": "independent"},
        {"kind": "worst_group", "step_size": 0.05},
    ],
    ids=lambda values: str(values["kind"]),
)
def test_a_fit_tells_its_groups_and_the_bundle_keeps_the_objective(
    objective: dict[str, Any],
    classification_values: dict[str, Any],
    encoder: Encoder,
    dataset: Dataset,
    features: Features,
    tmp_path: Path,
) -> None:
    classification_values["recipe"] |= {"objective": {**objective, "by": ["age>=50"], "min_patients": 2}}
    config = LinearConfig.model_validate(classification_values)
    fitted = fit(config, encoder, dataset, features)
    again = fit(config, encoder, dataset, features)
    assert torch.equal(fitted.adapter.heads.weight, again.adapter.heads.weight)
    with creating(tmp_path / "adapter", ADAPTER) as directory:
        write_bundle(directory, fitted.adapter, fitted.metrics)
    kept = load_adapter(tmp_path / "adapter", encoder.spec).config
    assert kept.recipe.objective.resolved() == {**objective, "by": ["age>=50"], "min_patients": 2}
    assert json.loads((tmp_path / "adapter" / "metrics.json").read_text())["groups"] == fitted.metrics["groups"]
    for label in fitted.adapter.labels:
        groups = fitted.metrics["groups"][label]
        assert len(groups) >= 2
        assert all(row["n_train"] > 0 and row["n_val"] > 0 and row["validation_loss"] > 0 for row in groups.values())
    if objective["kind"] == "worst_group":  # the loss that chose the epoch is the worst group's, labels summed
        rows = [list(groups.values()) for groups in fitted.metrics["groups"].values()]
        expected = sum(max(r["validation_loss"] for r in each) * sum(r["n_val"] for r in each) for each in rows)
        assert fitted.metrics["loss"] == pytest.approx(expected / fitted.metrics["n_val"], rel=1e-4)


def test_one_group_only_is_one_line(
    classification_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    objective = {"kind": "worst_group", "step_size": 0.1, "by": ["race"], "min_patients": 1}
    classification_values["recipe"] |= {"objective": objective}
    with pytest.raises(UserError, match=r"by race there is one group only \(UNKNOWN\)"):
        fit(LinearConfig.model_validate(classification_values), encoder, dataset, features)
