"""Prevalence must be equal in all strata within sampling error: the audit relies on it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from raydino.phantom.demographics import sample_patient
from raydino.phantom.findings import FINDINGS, LABELS, NO_FINDING

PATIENTS = 4000


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    rows = []
    for index in range(PATIENTS):
        patient = sample_patient(np.random.default_rng([9, index]), index)
        for study in patient.studies:
            ages = {"age_years": study.age_years, "older": study.age_years > 55}
            about = {"patient": index, "sex": patient.sex, "site": patient.site.name, "first": study.number == 1}
            recorded = {"sex_recorded": patient.sex_recorded, "age_recorded": patient.age_recorded}
            rows.append({**about, **ages, **recorded, "views": study.views, **study.findings.present()})
    return pd.DataFrame(rows)


def test_shares_are_those_of_the_plan(cohort: pd.DataFrame) -> None:
    first = cohort[cohort["first"]]
    assert first[NO_FINDING].mean() == pytest.approx(0.40, abs=0.025)
    assert (first["sex"] == "F").mean() == pytest.approx(0.5, abs=0.03)
    assert first["site"].value_counts(normalize=True).iloc[0] == pytest.approx(0.5, abs=0.03)
    assert (~first["sex_recorded"]).mean() == pytest.approx(0.02, abs=0.008)
    assert (~first["age_recorded"]).mean() == pytest.approx(0.02, abs=0.008)
    assert cohort["age_years"].between(18, 95).all()
    count = cohort[list(FINDINGS)].sum(axis=1)
    assert set(count) == {0, 1, 2, 3}
    assert ((count == 0) == cohort[NO_FINDING]).all()
    for name in FINDINGS:
        assert 0.10 < first[name].mean() < 0.36


@pytest.mark.parametrize("stratum", ["sex", "site", "older"])
@pytest.mark.parametrize("label", LABELS)
def test_prevalence_does_not_differ_between_strata(cohort: pd.DataFrame, stratum: str, label: str) -> None:
    first = cohort[cohort["first"]]  # one row a patient: independent
    test = chi2_contingency(pd.crosstab(first[stratum], first[label]))
    assert test.pvalue > 0.001


def test_later_studies_are_older_and_some_change(cohort: pd.DataFrame) -> None:
    several = cohort[cohort.groupby("patient")["patient"].transform("size") > 1]
    ages = several.groupby("patient")["age_years"]
    assert (ages.diff().dropna() > 0).all()
    changed = several.groupby("patient")[list(FINDINGS)].nunique().max(axis=1) > 1
    assert 0.2 < changed.mean() < 0.9


def test_every_study_has_a_frontal_film(cohort: pd.DataFrame) -> None:
    assert all(views[0] in ("PA", "AP") for views in cohort["views"])
    assert set().union(*cohort["views"]) == {"PA", "AP", "LATERAL"}
