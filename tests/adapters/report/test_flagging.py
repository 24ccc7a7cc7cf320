"""The verbs from the outside: reports beside a classifier's predictions of the same films."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from adapters.report.contradictions import Finding, contradictions
from adapters.report.flagging import CONTRADICTIONS, findings_by_film
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, TABLES, Predictions
from raydino.cli import run

LABELS = ("No Finding", "Cardiomegaly", "Pleural Effusion", "Nodule")


def _findings(path: Path, dataset: Dataset, ids: list[str], score: float) -> Path:
    """Predictions of a classifier that gives ``score`` to everything; Nodule has no operating point."""
    rows = dataset.accepted.loc[ids]
    frame = pd.DataFrame(
        [
            {"sample_id": s, "patient_id": p, "split": "test", "task": "classification", "label": label,
             "target": None, "score": score, "threshold": None if label == "Nodule" else 0.5}
            for s, p in zip(rows["sample_id"], rows["patient_id"], strict=True)
            for label in LABELS
        ]
    ).astype({"target": float, "threshold": float})  # fmt: skip
    with creating(path, PREDICTIONS, config={"task": "classification"}) as directory:
        TABLES["classification"].write(frame, directory / "predictions.parquet")
    return path


@pytest.fixture
def shared(encoder_path: Path, dataset: Dataset) -> list[str]:
    return ["--encoder", str(encoder_path), "--data", str(dataset.path)]


@pytest.fixture
def adapter(report_values: dict[str, Any], shared: list[str], tmp_path: Path) -> Path:
    report_values["recipe"] |= {"epochs": 1, "max_tokens": 24}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(report_values))
    assert run(["adapt", "fit", str(tmp_path / "config.yaml"), *shared, "--out", str(tmp_path / "adapter")]) == 0
    return tmp_path / "adapter"


def test_flagged_sentences_join_the_predictions(
    adapter: Path,
    shared: list[str],
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = "The heart is enlarged. No nodule. No pleural effusion."
    monkeypatch.setattr("adapters.report.prefixed.PrefixedLanguageModel.write", lambda _, o: [text] * len(o.cls))
    ids = dataset.sample_ids("test")
    findings = _findings(tmp_path / "findings", dataset, ids[1:], score=0.25)
    out = tmp_path / "out"
    arguments = ["adapt", "predict", str(adapter), *shared, "--out", str(out), "--findings", str(findings)]
    assert run(arguments) == 0
    told = capfd.readouterr().out
    assert "bleu_4" in told
    opened = Predictions.open(out)
    counted = opened.table.set_index("sample_id")["n_contradictions"]
    assert counted.isna().sum() == int(ids[0] in counted.index)
    assert (counted.dropna() == 1).all()
    flagged = CONTRADICTIONS.read(out / "contradictions.parquet")
    assert f"{len(flagged)} sentences contradict the classifier" in told
    assert set(map(tuple, flagged[["sentence", "label", "said"]].to_numpy())) == {
        ("The heart is enlarged.", "Cardiomegaly", "present")
    }
    assert set(opened.header.inputs) == {"adapter", "encoder", "dataset", "findings"}
    assert json.loads((out / "metrics.json").read_text())["overall"]["n_references"] > 0


def test_what_does_not_fit_is_refused(
    adapter: Path, shared: list[str], dataset: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fault(findings: Path) -> str:
        capfd.readouterr()
        out = tmp_path / "out"
        assert run(["adapt", "predict", str(adapter), *shared, "--out", str(out), "--findings", str(findings)]) == 2
        assert not out.exists()
        return capfd.readouterr().err

    train = _findings(tmp_path / "train", dataset, dataset.sample_ids("train"), score=0.25)
    assert "--findings holds none of these films" in fault(train)
    reports = tmp_path / "reports"
    assert run(["adapt", "predict", str(adapter), *shared, "--out", str(reports)]) == 0
    assert "holds predictions of report, not of findings" in fault(reports)
    assert "this is 'adapter', not 'predictions'" in fault(adapter)


def test_findings_by_film_keep_the_operating_point(dataset: Dataset, tmp_path: Path) -> None:
    ids = dataset.sample_ids("test")
    films = findings_by_film(Predictions.open(_findings(tmp_path / "findings", dataset, ids, score=0.75)))
    assert list(films) == ids
    assert films[ids[0]]["Cardiomegaly"] == Finding(0.75, 0.5)
    assert films[ids[0]]["Nodule"].present is None
    assert [c.label for c in contradictions("Heart size is normal. No nodule.", films[ids[0]])] == ["Cardiomegaly"]
