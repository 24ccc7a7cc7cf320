"""What a frozen encoder knows of sex, age, site and population: linear probes on features, with intervals.

A linear probe is logistic regression on standardised features, fitted on one half of the patients and read on the
other, so that no patient is on both sides (Glocker 2023: a foundation model may encode more than a task needs).
Reported is the macro one-against-rest AUROC over groups with enough patients; the interval resamples the patients of
the reading half. One half means that a line finds nothing; a high AUROC says that the information is there, not that
a model uses it.

Also: how far two groups lie apart along each principal component (Kolmogorov–Smirnov, a p-value by swapping patients'
groups, Benjamini–Hochberg over groups and components). Neighbours: ``auroc``, ``intervals``, ``flags``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bias_audit.auroc import auroc
from bias_audit.flags import benjamini_hochberg
from bias_audit.intervals import bootstrap_variance, patient_multiplicities, wilson_interval
from bias_audit.rows import Bools, Floats, Ints
from bias_audit.settings import Recipe
from raydino.artifacts.strata_names import UNKNOWN

Groups = np.ndarray  # [films] strings, UNKNOWN where not told
STRENGTH = 0.01  # inverse of the penalty, for features of hundreds of dimensions and films of hundreds
PCA_DIMENSIONS = 128  # probes of wider features read their first principal components


@dataclass(frozen=True)
class Probe:
    """How well a line tells the groups of one axis; None where it could not be asked."""

    groups: tuple[str, ...]  # that had enough patients on both sides
    auroc: float
    low: float
    high: float
    by_group: dict[str, float]  # one against the rest
    patients: tuple[int, int]  # fitted on, read on


def halves(patient: Ints, rng: np.random.Generator) -> Bools:
    """[films] whether a film's patient is among those that the probe is fitted on; half of the patients are."""
    people = np.unique(patient)
    return np.isin(patient, rng.permutation(people)[: len(people) // 2])


def probe(features: Floats, groups: Groups, patient: Ints, recipe: Recipe, rng: np.random.Generator) -> Probe | None:
    """Fit on half of the patients, read on the other. ``features`` [films, D]; None with fewer than two groups."""
    fitted = halves(patient, rng)
    known = groups != UNKNOWN
    enough = [
        str(group)
        for group in np.unique(groups[known].astype(str))
        if all(len(np.unique(patient[(groups == group) & side])) >= recipe.min_patients for side in (fitted, ~fitted))
    ]
    if len(enough) < 2:
        return None
    use = np.isin(groups.astype(str), enough)
    fit, read = use & fitted, use & ~fitted
    steps: list[object] = [StandardScaler()]
    if features.shape[1] > PCA_DIMENSIONS and fit.sum() > PCA_DIMENSIONS:
        steps += [PCA(PCA_DIMENSIONS, random_state=0), StandardScaler()]
    model = make_pipeline(*steps, LogisticRegression(C=STRENGTH, max_iter=1000))
    model.fit(features[fit], groups[fit].astype(str))
    scores = model.predict_proba(features[read])
    answers = groups[read].astype(str)
    number = np.unique(patient[read], return_inverse=True)[1]
    weights = patient_multiplicities(int(number.max()) + 1, recipe.bootstraps, rng)
    values = np.array(
        [
            [
                auroc(scores[:, k], answers == group, weights[number, b].astype(np.float64))
                for b in range(recipe.bootstraps + 1)
            ]
            for k, group in enumerate(model.classes_)
        ]
    )
    macro = values.mean(axis=0)
    low, high = _interval(macro, recipe.confidence, int(number.max()) + 1)
    by_group = {str(group): float(values[k, 0]) for k, group in enumerate(model.classes_)}
    sides = len(np.unique(patient[fit])), len(np.unique(patient[read]))
    return Probe(tuple(map(str, model.classes_)), float(macro[0]), low, high, by_group, sides)


def _interval(replicates: Floats, confidence: float, patients: int) -> tuple[float, float]:
    """Wilson's on as many independent patients as the bootstrap's variance amounts to, as for every AUROC here."""
    estimate = replicates[:1]
    variance = bootstrap_variance(replicates[None, 1:])
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(variance > 0, estimate * (1 - estimate) / variance, patients)
    low, high = wilson_interval(estimate, np.maximum(effective, 1.0), confidence)
    return float(low[0]), float(high[0])


def components(features: Floats, count: int) -> tuple[Floats, Floats]:
    """Principal components of standardised features: places [films, count] and shares of variance [count]."""
    count = min(count, *features.shape)
    pca = PCA(count, random_state=0)
    places = pca.fit_transform(StandardScaler().fit_transform(features))
    return places, pca.explained_variance_ratio_


def distances(
    places: Floats, groups: Groups, patient: Ints, *, min_patients: int, swaps: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Each group against everyone else of known group along each component: KS distance and p-values.

    Patients are averaged over their films first, so that films of one patient do not count as independent; a patient of
    several groups counts in the first. Whole patients swap. Columns: group, component, n_patients, ks, p_value and
    p_adjusted.
    """
    known = groups != UNKNOWN
    frame = pd.DataFrame(places[known]).groupby(patient[known]).mean()
    of = pd.Series(groups[known].astype(str)).groupby(patient[known]).first().reindex(frame.index).to_numpy(str)
    columns, rows = Sorted.of(frame.to_numpy()), []
    for group in np.unique(of):
        inside = of == group
        if min(inside.sum(), (~inside).sum()) < min_patients:
            continue
        seen = columns.ks(inside)
        larger = np.zeros(len(seen))
        for _ in range(swaps):
            larger += columns.ks(rng.permutation(inside)) >= seen - 1e-12
        p_value = (1 + larger) / (1 + swaps)
        rows += [
            {"group": str(group), "component": k + 1, "n_patients": int(inside.sum()), "ks": float(seen[k])}
            | {"p_value": float(p_value[k])}
            for k in range(len(seen))
        ]
    table = pd.DataFrame(rows, columns=["group", "component", "n_patients", "ks", "p_value"])
    return table.assign(p_adjusted=benjamini_hochberg(table["p_value"].to_numpy(np.float64)))


@dataclass(frozen=True)
class Sorted:
    """Columns put in order once, so that the distance of many divisions into two costs little."""

    order: Ints  # [n, columns]
    last: Bools  # [n, columns] the last of equal values

    @classmethod
    def of(cls, values: Floats) -> Sorted:
        """``values`` [n, columns]."""
        order = np.argsort(values, axis=0, kind="stable")
        ranked = np.take_along_axis(values, order, axis=0)
        return cls(order, np.vstack([np.diff(ranked, axis=0) > 0, np.ones((1, values.shape[1]), bool)]))

    def ks(self, inside: Bools) -> Floats:
        """[columns] largest distance of the two empirical distribution functions (Kolmogorov–Smirnov)."""
        step = np.where(inside, 1 / inside.sum(), -1 / (~inside).sum())
        return np.asarray(np.abs(np.where(self.last, np.cumsum(step[self.order], axis=0), 0.0)).max(axis=0))
