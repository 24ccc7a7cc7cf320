"""How fast are 1,000 bootstraps of an audit, against a loop over scikit-learn and fairlearn's own bootstrap?

    .venv/bin/python benchmarks/audit.py [--quick] [--rows 20000] [--findings 14] [--bootstraps 1000]

20,000 films of some 12,500 patients, 14 findings, AUROC, sensitivity and specificity in every stratum of sex,
age and site: everyone, each axis, each pair, and all three crossed. Timed, in processor seconds of one thread,
in one run:

- ours: the replicates alone, and the whole audit (counts, intervals, gaps with p-values, flags as well); and,
  beside the comparison, the whole audit of configs/audit/default.yaml (pairs of axes, all metrics)
- scikit-learn: draw patients, take their films, call roc_auc_score and recall_score in each stratum
- fairlearn: MetricFrame(n_boot=…) of the same three metrics; it resamples films, not patients

The peers are timed on a few resamples and --peer-findings findings and extrapolated, since their cost is a
multiple of both; fairlearn's one pass for the estimates themselves is taken off. Everything of ours runs in
full. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from scipy.special import expit

from bias_audit.audit import audit, label_rows
from bias_audit.axes import choose_axes
from bias_audit.inputs import AuditTable, table_of
from bias_audit.intervals import patient_multiplicities
from bias_audit.metrics import metric_named
from bias_audit.replicates import replicate_all
from bias_audit.settings import AuditConfig, Recipe
from bias_audit.strata import index_of, partitions

AXES = ("sex", "age", "site")
METRICS = ("auroc", "sensitivity", "specificity")


def simulated(rows: int, findings: int, rng: np.random.Generator) -> pd.DataFrame:
    """A predictions table; prevalence of the findings from 2 to 30 %."""
    patient = np.sort(rng.integers(0, int(rows / 1.6), rows))
    patients = int(patient.max()) + 1
    films = pd.DataFrame(
        {
            "sample_id": [f"film{i:06d}" for i in range(rows)],
            "patient_id": [f"patient{i:06d}" for i in patient],
            "sex": rng.choice(["F", "M", "UNKNOWN"], patients, p=[0.48, 0.49, 0.03])[patient],
            "age_years": np.where(rng.random(patients) < 0.03, np.nan, rng.uniform(5, 95, patients))[patient],
            "site": rng.choice(["A", "B", "C"], patients, p=[0.5, 0.3, 0.2])[patient],
            "threshold": 0.3,
        }
    )
    parts = []
    for k, prevalence in enumerate(np.geomspace(0.02, 0.3, findings)):
        target = (rng.random(rows) < prevalence).astype(float)
        logit = 2 * target - 1.5 + rng.normal(0, 0.6, patients)[patient] + rng.normal(0, 1, rows)
        parts.append(films.assign(label=f"finding {k:02d}", target=target, score=expit(logit).round(4)))
    return pd.concat(parts, ignore_index=True)


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


class Ours:
    """The table cut into strata, and the replicates of every label."""

    def __init__(self, table: AuditTable, bootstraps: int) -> None:
        self.axes = choose_axes(AXES, table.groups, (18, 40, 60, 80), skip_absent=False)
        self.index = index_of(partitions(table.films, self.axes, depth=3))
        self.table, self.bootstraps = table, bootstraps
        self.patient = np.unique(table.films["patient_id"].to_numpy(str), return_inverse=True)[1]

    def replicates(self) -> None:
        weights = patient_multiplicities(int(self.patient.max()) + 1, self.bootstraps, np.random.default_rng(0))
        metrics = [metric_named(name) for name in METRICS]
        for _, rows in self.table.rows.groupby("label"):
            data, *_ = label_rows(rows, self.patient, self.index)
            replicate_all(data, metrics, weights, np.ones(len(self.index), bool), AuditConfig().runtime.block)

    def whole(self) -> None:
        audit(self.table, self.axes, AuditConfig(recipe=Recipe(bootstraps=self.bootstraps, metrics=METRICS, depth=3)))

    def default(self) -> None:
        audit(self.table, self.axes, AuditConfig(recipe=Recipe(bootstraps=self.bootstraps)))


def one_label(table: AuditTable, label: str) -> pd.DataFrame:
    return table.rows[table.rows["label"] == label].sort_values("film").reset_index(drop=True)


def scikit_learn(ours: Ours, labels: list[str], resamples: int) -> float:
    """Seconds of a resample and label."""
    from sklearn.metrics import recall_score, roc_auc_score

    films_of = [np.flatnonzero(ours.patient == p) for p in range(int(ours.patient.max()) + 1)]
    tables = [one_label(ours.table, label) for label in labels]
    rng = np.random.default_rng(0)

    def work() -> None:
        for _ in range(resamples):
            films = np.concatenate([films_of[p] for p in rng.integers(0, len(films_of), len(films_of))])
            member = ours.index.membership[films]
            for rows in tables:
                target, score = rows["target"].to_numpy()[films], rows["score"].to_numpy()[films]
                called = (score >= rows["threshold"].to_numpy()[films]).astype(float)
                for column in range(member.shape[1]):
                    for stratum in np.unique(member[:, column]):
                        inside = member[:, column] == stratum
                        if 0 < target[inside].sum() < inside.sum():
                            roc_auc_score(target[inside], score[inside])
                            recall_score(target[inside], called[inside])
                            recall_score(target[inside], called[inside], pos_label=0.0)

    return seconds(work) / resamples / len(labels)


def fairlearn(ours: Ours, labels: list[str], resamples: int) -> float:
    """Seconds of a resample and label: MetricFrame for each axis and crossing, less its pass over the sample itself."""
    from fairlearn.metrics import MetricFrame, true_negative_rate, true_positive_rate
    from sklearn.metrics import roc_auc_score

    def area(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        return float(roc_auc_score(y_true, y_pred)) if 0 < np.sum(y_true) < len(y_true) else np.nan

    def rate(of: Callable[..., float]) -> Callable[..., float]:
        return lambda y_true, y_pred: of(y_true, (y_pred >= 0.3).astype(float), pos_label=1.0)

    metrics = {"auroc": area, "sensitivity": rate(true_positive_rate), "specificity": rate(true_negative_rate)}
    member = ours.index.membership

    def frames(n_boot: int | None) -> float:
        def work() -> None:
            for label in labels:
                rows = one_label(ours.table, label)
                for column in range(1, member.shape[1]):  # MetricFrame's overall is everyone
                    MetricFrame(
                        metrics=metrics,
                        y_true=rows["target"],
                        y_pred=rows["score"],
                        sensitive_features=pd.Series(member[:, column].astype(str)),
                        n_boot=n_boot,
                        ci_quantiles=None if n_boot is None else [0.025, 0.975],
                        random_state=0,
                    )

        return seconds(work)

    return (frames(resamples) - frames(None)) / resamples / len(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4,000 films, 4 findings, 200 bootstraps")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--findings", type=int, default=14)
    parser.add_argument("--bootstraps", type=int, default=1000)
    parser.add_argument("--peer-resamples", type=int, default=3)
    parser.add_argument("--peer-findings", type=int, default=3)
    options = parser.parse_args()
    if options.quick:
        options.rows, options.findings, options.bootstraps = 4000, 4, 200
        options.peer_resamples, options.peer_findings = 2, 1
    warnings.simplefilter("ignore")
    table = table_of(simulated(options.rows, options.findings, np.random.default_rng(1)))
    ours = Ours(table, options.bootstraps)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = {"replicates": seconds(ours.replicates), "whole_audit": seconds(ours.whole)}
    took["default_audit"] = seconds(ours.default)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    labels = sorted(table.thresholds)
    labels = [labels[i] for i in np.linspace(0, len(labels) - 1, options.peer_findings).round().astype(int)]
    times = options.bootstraps * options.findings
    took["scikit_learn"] = scikit_learn(ours, labels, options.peer_resamples) * times
    took["fairlearn"] = fairlearn(ours, labels, options.peer_resamples) * times
    strata = len(ours.index)
    print(f"{options.rows} films, {options.findings} findings, {strata} strata, {options.bootstraps} bootstraps")
    print(f"peers extrapolated from {options.peer_resamples} resamples of {options.peer_findings} findings")
    for name, value in took.items():
        print(f"{name:14s} {value:10.1f} s of processor time")
    print(f"peak memory    {peak:10.0f} MB ({before:.0f} MB of it before the bootstraps)")
    print(
        json.dumps(
            {
                "benchmark": "audit",
                "machine": f"{platform.processor() or platform.machine()}, one thread",
                "config": {name: getattr(options, name) for name in ("rows", "findings", "bootstraps")}
                | {"strata": strata, "peer_resamples": options.peer_resamples},
                "seconds": {name: round(value, 2) for name, value in took.items()},
                "peak_mb": round(peak),
                "ratios": {
                    "vs_sklearn_loop": round(took["scikit_learn"] / took["replicates"], 1),
                    "vs_fairlearn": round(took["fairlearn"] / took["replicates"], 1),
                    "whole_audit_vs_sklearn_loop": round(took["scikit_learn"] / took["whole_audit"], 1),
                    "whole_audit_vs_fairlearn": round(took["fairlearn"] / took["whole_audit"], 1),
                },
            }
        )
    )


if __name__ == "__main__":
    main()
