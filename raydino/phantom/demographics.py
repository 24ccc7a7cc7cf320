"""Who the synthetic patients are and when they were examined: sex, age, site, studies, views.

Findings are drawn independently of all of these (see findings), so a stratum differs from another
only by chance, unless the bias is planted. Names and numbers are obviously made up.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np

from raydino.phantom.anatomy import Anatomy, sample_anatomy
from raydino.phantom.findings import Findings, sample_findings
from raydino.phantom.sites import SITES, Site

_UNKNOWN_SHARE = 0.02  # of ages and of sexes that were never recorded
_FIRST_DATE = datetime.date(2016, 1, 4)
_STUDY_COUNT_SHARES = (0.78, 0.16, 0.06)  # one, two or three studies
_VIEW_SETS = ((("PA",), 0.55), (("AP",), 0.25), (("PA", "LATERAL"), 0.20))
_UNCHANGED_SHARE = 0.4  # of later studies that show what the one before showed


@dataclass(frozen=True)
class Study:
    """One visit."""

    number: int  # 1 for the first
    age_years: float
    date: datetime.date
    findings: Findings
    views: tuple[str, ...]


@dataclass(frozen=True)
class Patient:
    """One synthetic patient with all studies."""

    index: int
    sex: str  # F or M
    sex_recorded: bool
    age_recorded: bool
    site: Site
    anatomy: Anatomy
    studies: tuple[Study, ...]

    @property
    def patient_id(self) -> str:
        return f"SYN{self.index + 1:05d}"

    @property
    def name(self) -> str:
        return f"SYNTH^{self.index + 1:05d}"

    @property
    def birth_date(self) -> datetime.date:
        first = self.studies[0]
        return first.date - datetime.timedelta(days=round(first.age_years * 365.25))


def sample_patient(rng: np.random.Generator, index: int) -> Patient:
    """Draw patient number ``index`` (from 0)."""
    sex = "F" if rng.random() < 0.5 else "M"
    site = SITES[int(rng.random() < 0.5)]
    age_years = float(18.0 + 73.0 * rng.beta(1.7, 1.5))  # and up to four years older at the last study
    sex_recorded, age_recorded = (bool(u >= _UNKNOWN_SHARE) for u in rng.random(2))
    anatomy = sample_anatomy(rng, sex, age_years)
    studies: list[Study] = []
    day = int(rng.integers(0, 1800))
    for number in range(1, 2 + int(rng.choice(3, p=_STUDY_COUNT_SHARES))):
        fresh = sample_findings(rng, anatomy.healthy_ctr)
        unchanged = bool(studies) and rng.random() < _UNCHANGED_SHARE
        findings = studies[-1].findings if unchanged else fresh
        views = _VIEW_SETS[int(rng.choice(len(_VIEW_SETS), p=[share for _, share in _VIEW_SETS]))][0]
        years = (day - studies[0].date.toordinal() + _FIRST_DATE.toordinal()) / 365.25 if studies else 0.0
        date = _FIRST_DATE + datetime.timedelta(days=day)
        studies.append(Study(number, age_years + years, date, findings, views))
        day += int(rng.integers(3, 700))
    return Patient(index, sex, sex_recorded, age_recorded, site, anatomy, tuple(studies))
