"""The figures of a classification: by film and by patient, with intervals of a bootstrap of patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from adapters.base import Evaluation
from adapters.intervals import PatientBootstrap, interval, mean_over_labels
from adapters.metrics import Counts, auroc, brier, expected_calibration_error, mean_of, one_class_reason

Floats = npt.NDArray[np.float64]
_MEANS = ("auroc", "sensitivity", "specificity", "brier", "brier_uncalibrated", "ece", "ece_uncalibrated")


def evaluation_of(
    identity: pd.DataFrame,
    *,
    labels: Sequence[str],
    target: Floats,
    logits: Floats,
    probability: Floats,
    thresholds: Mapping[str, float | None],
) -> Evaluation:
    """``identity``: N rows of ``identity_columns``; the arrays [N, L], ``target`` 1, 0 or NaN.

    ``*_low`` and ``*_high`` are the ends of 95 % intervals; ``*_uncalibrated`` are figures of σ(logits).
    """
    bootstrap = PatientBootstrap(identity["patient_id"].tolist())
    parts, per_label, per_patient, notes, replicates = [], {}, {}, {}, []
    for column, label in enumerate(labels):
        truth, score, point = target[:, column], probability[:, column], thresholds[label]
        threshold = math.nan if point is None else point
        parts.append(identity.assign(label=label, target=truth, score=score, threshold=threshold))
        per_label[label] = label_figures(truth, logits[:, column], score, point)
        reason = one_class_reason(truth)
        if reason is None:
            replicates.append(bootstrap.auroc(truth, score))
            per_label[label] |= _ends("auroc", replicates[-1])
        if point is not None:
            called = (score >= point).astype(float)
            per_label[label] |= _ends("sensitivity", bootstrap.mean(np.where(truth == 1, called, np.nan)))
            per_label[label] |= _ends("specificity", bootstrap.mean(np.where(truth == 0, 1 - called, np.nan)))
        per_patient[label] = patient_figures(identity["patient_id"], truth, logits[:, column])
        if not np.isfinite(truth).any():
            notes[label] = "nothing to compare with: the dataset does not know this label on any of these films"
        elif reason:
            notes[label] = f"AUROC undefined: {reason}"
        elif point is None:
            notes[label] = "no operating point: validation does not show that its score separates enough"
    overall = {name: mean_of(row[name] for row in per_label.values()) for name in _MEANS}
    if replicates:
        overall |= _ends("auroc", mean_over_labels(replicates))
    table = pd.concat(parts, ignore_index=True)
    return Evaluation(table, per_label, overall, overall["auroc"], notes, per_patient)


def label_figures(target: Floats, logits: Floats, probability: Floats, point: float | None) -> dict[str, float | None]:
    """The figures of one label over films [N]."""
    counts = Counts.of(target, probability >= (math.inf if point is None else point))
    plain = expit(logits)
    return {
        "n_positive": int((target == 1).sum()),
        "n_negative": int((target == 0).sum()),
        "auroc": auroc(target, probability),
        "sensitivity": None if point is None else counts.sensitivity,
        "specificity": None if point is None else counts.specificity,
        "threshold": point,
        "brier": brier(target, probability),
        "brier_uncalibrated": brier(target, plain),
        "ece": expected_calibration_error(target, probability),
        "ece_uncalibrated": expected_calibration_error(target, plain),
    }


def patient_figures(patient_id: pd.Series, target: Floats, logits: Floats) -> dict[str, float | None]:
    """One row a patient: the mean logit of the films that know the label, positive where any of those is."""
    known = np.isfinite(target)
    frame = pd.DataFrame({"patient": patient_id.to_numpy()[known], "target": target[known], "logit": logits[known]})
    patients = frame.groupby("patient").agg(target=("target", "max"), logit=("logit", "mean"))
    truth, score = patients["target"].to_numpy(np.float64), patients["logit"].to_numpy(np.float64)
    figures: dict[str, float | None] = {
        "n_positive": int((truth == 1).sum()),
        "n_negative": int((truth == 0).sum()),
        "auroc": auroc(truth, score),
    }
    if one_class_reason(truth) is None:
        figures |= _ends("auroc", PatientBootstrap(patients.index.tolist()).auroc(truth, score))
    return figures


def _ends(name: str, replicates: Floats) -> dict[str, float | None]:
    low, high = interval(replicates)
    return {f"{name}_low": low, f"{name}_high": high}
