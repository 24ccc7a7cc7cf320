"""What a frozen encoder is worth, for ``auroc_against_steps.py``: tasks, probes, and intervals over patients.

Tasks come from the dataset's labels and demographics. A finding is asked within one site, since the site shows in
the pixels and would answer where sources differ in prevalence; so is sex, beside sex over all. Heads are fitted on
training films, C chosen on a quarter of the training patients, figures are of validation and test films together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bias_audit.auroc import Ranks, auroc
from bias_audit.intervals import patient_multiplicities
from raydino.artifacts.dataset import Dataset
from raydino.data.films import Films, whole_film
from raydino.train.probe import C_GRID, CHOOSING_SHARE

Floats = npt.NDArray[np.float64]

FRONTAL = ("PA", "AP", "UNKNOWN")
AT_LEAST = 20  # films of either class, in training and in evaluation
OLDER_THAN_YEARS = 50


@dataclass(frozen=True)
class Tasks:
    """Targets (1, 0, NaN = not asked) of training and evaluation films, one column a task."""

    names: list[str]
    train_ids: list[str]
    test_ids: list[str]
    train: Floats
    test: Floats
    train_patients: npt.NDArray[np.str_]
    test_patients: npt.NDArray[np.str_]

    @classmethod
    def of(cls, dataset: Dataset) -> Tasks:
        """Every finding, and the demographics, that have ``AT_LEAST`` films of both classes on either side."""
        accepted = dataset.accepted[dataset.accepted["view"].isin(FRONTAL)]
        people = dataset.demographics.loc[accepted.index]
        targets = _targets(dataset.labels.loc[accepted.index], people)
        is_train = (accepted["split"] == "train").to_numpy()
        kept = [
            name
            for name in targets
            if all((targets[name][side] == v).sum() >= AT_LEAST for side in (is_train, ~is_train) for v in (0, 1))
        ]
        values, patients = targets[kept].to_numpy(float), accepted["patient_id"].to_numpy(str)
        ids = np.asarray(accepted.index, str)
        sides = [(list(ids[side]), values[side], patients[side]) for side in (is_train, ~is_train)]
        (train_ids, train, train_patients), (test_ids, test, test_patients) = sides
        return cls(kept, train_ids, test_ids, train, test, train_patients, test_patients)


def _targets(labels: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    found = {}
    for name in labels:
        site = _best_site(labels[name], people["site"])
        found[f"{name} ({site})"] = labels[name].where(people["site"] == site)
    male = people["sex"].map({"M": 1.0, "F": 0.0}).astype(float)
    site = _best_site(male, people["site"])
    found["sex"] = male
    found[f"sex ({site})"] = male.where(people["site"] == site)
    age = people["age_years"]
    found[f"age over {OLDER_THAN_YEARS}"] = (age > OLDER_THAN_YEARS).astype(float).where(age.notna())
    return pd.DataFrame(found)


def _best_site(values: pd.Series, sites: pd.Series) -> str:
    """The site with most films of the rarer class."""
    counts = pd.DataFrame({"present": values == 1, "absent": values == 0}).groupby(sites).sum().min(axis=1)
    return str(counts.idxmax())


def probe_scores(train_ND: Floats, test_MD: Floats, tasks: Tasks) -> Floats:
    """Scores [M, tasks] of one logistic regression a task; only their ranks within a task mean anything."""
    scaler = StandardScaler().fit(train_ND)
    train, test = scaler.transform(train_ND), scaler.transform(test_MD)
    if train.shape[1] > len(train):  # a ridge penalty sees only the span of the films: the same fit, in fewer numbers
        basis = np.linalg.svd(train, full_matrices=False)[2]
        train, test = train @ basis.T, test @ basis.T
    names = np.unique(tasks.train_patients)
    choosing = np.isin(tasks.train_patients, names[:: round(1 / CHOOSING_SHARE)])
    scores = np.zeros((len(test), len(tasks.names)))
    for column, target in enumerate(tasks.train.T):
        known = ~np.isnan(target)
        fit, held = known & ~choosing, known & choosing
        aurocs = [auroc(_score(train[fit], target[fit], train[held], c), target[held] == 1) for c in C_GRID]
        c = C_GRID[int(np.nanargmax(aurocs))] if not np.isnan(aurocs).all() else C_GRID[0]
        scores[:, column] = _score(train[known], target[known], test, c)
    return scores


def _score(train: Floats, target: Floats, query: Floats, c: float) -> Floats:
    if len(np.unique(target)) < 2:
        return np.zeros(len(query))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=300).fit(train, target).decision_function(query)


def pixels(dataset: Dataset, ids: Sequence[str], side: int) -> Floats:
    """Whole films [N, side²], each standardised by itself."""
    films = Films(dataset, ids, cache_bytes=0)
    flat = np.stack([whole_film(films[i], side).ravel() for i in range(len(films))]).astype(float)
    return (flat - flat.mean(axis=1, keepdims=True)) / np.maximum(flat.std(axis=1, keepdims=True), 1e-6)


def pixel_baselines(dataset: Dataset, tasks: Tasks) -> dict[str, Floats]:
    """Scores from pixels at 24 x 24, and from 128 principal components of pixels at 64 x 64."""
    small = [pixels(dataset, ids, 24) for ids in (tasks.train_ids, tasks.test_ids)]
    large = [pixels(dataset, ids, 64) for ids in (tasks.train_ids, tasks.test_ids)]
    pca = PCA(n_components=min(128, *large[0].shape), random_state=0).fit(large[0])
    return {
        "pixels, 24 px": probe_scores(*small, tasks),
        "PCA-128 of pixels": probe_scores(*(pca.transform(x) for x in large), tasks),
    }


def replicates(scores: Floats, tasks: Tasks, bootstraps: int) -> Floats:
    """AUROC [tasks, 1 + bootstraps]: column 0 of the films as they are, the others of resampled patients.

    The same patients are drawn for every call, so differences between features are resampled in pairs.
    """
    names, patient = np.unique(tasks.test_patients, return_inverse=True)
    drawn = patient_multiplicities(len(names), bootstraps, np.random.default_rng(0))[patient].astype(np.float64)
    rows = []
    for score, target in zip(scores.T, tasks.test.T, strict=True):
        known = np.flatnonzero(~np.isnan(target))
        order = known[np.argsort(score[known], kind="stable")]
        positive = target[order] == 1
        w_pos, w_neg = drawn[order[positive]], drawn[order[~positive]]
        below = Ranks.of(score[order[positive]], score[order[~positive]]).weight_below(w_neg)
        with np.errstate(invalid="ignore"):
            rows.append((w_pos * below).sum(axis=0) / (w_pos.sum(axis=0) * w_neg.sum(axis=0)))
    return np.stack(rows)


def summary(by_seed: Sequence[Floats]) -> dict[str, float]:
    """Of one row of macro AUROC replicates a seed: mean, its 95 % interval over patients, lowest and highest seed."""
    mean = np.mean(by_seed, axis=0)
    low, high = np.nanquantile(mean[1:], [0.025, 0.975])
    seeds = [float(row[0]) for row in by_seed]
    return {
        "mean": float(mean[0]),
        "ci_low": float(low),
        "ci_high": float(high),
        "lowest_seed": min(seeds),
        "highest_seed": max(seeds),
        "seeds": len(seeds),
    }


def passed_at(by_steps: Mapping[int, Sequence[Floats]], baseline: Sequence[Floats]) -> dict[str, int | None]:
    """The fewest steps from which on every budget beats the baseline: in the mean, and with the interval above 0."""
    reached: dict[str, int | None] = {"mean": None, "interval": None}
    for kind in reached:
        for steps in sorted(by_steps, reverse=True):
            gain = np.mean(by_steps[steps], axis=0) - np.mean(baseline, axis=0)
            if (gain[0] if kind == "mean" else np.nanquantile(gain[1:], 0.025)) <= 0:
                break
            reached[kind] = steps
    return reached
