"""Simulated predictions with a bias planted on purpose, to test the audit itself against the truth.

Patients have one to several films that share a patient effect, so films are not independent. Used
by the tests and by ``benchmarks/audit_validity.py``; no real data, no claim about any model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

LABELS = ("Cardiomegaly", "Consolidation", "No Finding", "Nodule", "Pleural Effusion", "Pneumothorax")
SITES = ("Harbour Hospital", "Lakeside Clinic", "Northern Institute")
PLANTED_LABEL = "Pleural Effusion"


@dataclass(frozen=True)
class Simulation:
    """What is simulated. ``shift`` lowers the logit of PLANTED_LABEL in positives among women at Lakeside Clinic."""

    patients: int = 1500
    films_mean: float = 1.6  # films a patient: 1 + Poisson
    prevalence: float = 0.2
    separation: float = 2.6  # logits between films with and without the finding
    patient_spread: float = 0.8  # standard deviation of the patient effect, in logits
    shift: float = 0.0
    unknown: float = 0.03  # share of patients of unknown sex, of unknown age and of unknown targets


def simulate(simulation: Simulation, rng: np.random.Generator) -> pd.DataFrame:
    """A plain predictions table: sample_id, patient_id, label, target, score, threshold, sex, age_years, site, view."""
    n = simulation.patients
    sex = np.where(rng.random(n) < simulation.unknown, "UNKNOWN", np.where(rng.random(n) < 0.5, "F", "M"))
    age_years = np.where(rng.random(n) < simulation.unknown, np.nan, np.clip(rng.normal(58, 18, n), 1, 99).round(1))
    site = rng.choice(SITES, n, p=[0.45, 0.3, 0.25])
    films = 1 + rng.poisson(simulation.films_mean - 1, n)
    patient = np.repeat(np.arange(n), films)
    sick_patient = rng.normal(0, 0.7, (n, len(LABELS)))  # films of a patient share findings, too
    parts = []
    for k, label in enumerate(LABELS):
        chance = expit(np.log(simulation.prevalence / (1 - simulation.prevalence)) + sick_patient[patient, k])
        target = (rng.random(len(patient)) < chance).astype(float)
        effect = rng.normal(0, simulation.patient_spread, n)[patient]
        logit = simulation.separation * (target - 0.5) + effect + rng.normal(0, 1, len(patient))
        if label == PLANTED_LABEL:
            logit -= simulation.shift * target * ((sex == "F") & (site == "Lakeside Clinic"))[patient]
        target[rng.random(len(patient)) < simulation.unknown] = np.nan
        parts.append(pd.DataFrame({"label": label, "target": target, "score": expit(logit).round(4)}))
    base = pd.DataFrame(
        {
            "sample_id": [f"film{i:06d}" for i in range(len(patient))],
            "patient_id": [f"patient{i:05d}" for i in patient],
            "split": "test",
            "sex": sex[patient],
            "age_years": age_years[patient],
            "site": site[patient],
            "view": rng.choice(["PA", "AP"], len(patient), p=[0.6, 0.4]),  # of a film, not of a patient
            "threshold": 0.5,
        }
    )
    return pd.concat([base.assign(**part) for part in parts], ignore_index=True)
