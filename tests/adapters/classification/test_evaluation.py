import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from adapters.classification.evaluation import evaluation_of, patient_figures
from adapters.tables import print_metrics


def test_a_patient_is_the_mean_logit_of_the_films_that_know_the_label() -> None:
    rng = np.random.default_rng(0)
    patient = pd.Series([f"p{i}" for i in rng.integers(0, 25, 80)])
    target = rng.integers(0, 2, 80).astype(float)
    target[rng.random(80) < 0.3] = np.nan
    logits = rng.normal(0, 1, 80)
    truth, score = [], []
    for name in sorted(set(patient)):
        films = [i for i in range(80) if patient[i] == name and np.isfinite(target[i])]
        if films:
            truth.append(max(target[films]))
            score.append(logits[films].mean())
    found = patient_figures(patient, target, logits)
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, score))
    assert (found["n_positive"], found["n_negative"]) == (sum(truth), len(truth) - sum(truth))
    assert (found["auroc_low"] or 1) < (found["auroc"] or 0) < (found["auroc_high"] or 0)


def test_one_class_and_unknown_throughout_have_no_figure_but_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    identity = pd.DataFrame({"sample_id": ["a", "b", "c"], "patient_id": ["p", "p", "q"], "split": "val"})
    target = np.array([[1.0, np.nan, 1.0], [1.0, np.nan, 0.0], [np.nan, np.nan, 1.0]])
    logits = np.array([[0.0, 1.0, 2.0], [1.0, 1.0, -2.0], [2.0, 0.0, 3.0]])
    evaluation = evaluation_of(
        identity,
        labels=["all positive", "unknown", "both"],
        target=target,
        logits=logits,
        probability=expit(logits),
        thresholds={"all positive": None, "unknown": 0.5, "both": 0.5},
    )
    assert evaluation.notes["all positive"] == "AUROC undefined: 2 positive and 0 negative films"
    assert evaluation.notes["unknown"].startswith("nothing to compare with")
    assert evaluation.per_label["unknown"]["brier"] is None
    assert evaluation.per_label["unknown"]["sensitivity_low"] is None
    assert evaluation.per_label["both"]["auroc"] == evaluation.overall["auroc"] == 1.0
    assert len(evaluation.table) == 9
    print_metrics(evaluation.metrics(task="classification", split="val"), title="three films")
    assert "nothing to compare with" in capsys.readouterr().out
