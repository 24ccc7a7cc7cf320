"""Can the audit be believed? Coverage, false alarms, power and verdicts over many simulated cohorts of known truth.

    .venv/bin/python benchmarks/audit_validity.py [--quick] [--seeds 60] [--patients 600] [--bootstraps 200]

Each seed simulates cohorts of clustered patients (bias_audit.planted), four films each on average: one without
any bias, and one a size of bias, in which positives of Pleural Effusion score lower among women at one site.
Measured:

- coverage of 95 % intervals of estimates, gaps, gaps against a reference, and largest differences of an axis,
  by metric and by patients behind the figure. Beside it, in the same cohorts, what comes out when films are
  resampled as if each were a patient of its own: it must fail
- false alarms: share of audits without bias that flag anything (unadjusted p < 0.05 beside it)
- power: how often the planted stratum is flagged, by the size of the true gap, with the gap that the audit called
  detectable (power 80 %) beside it; and audits that flag a stratum that shares no patient with it
- verdicts: how often a true gap of the margin or more is called equivalent, and no gap different or equivalent

The truth is computed, not estimated from the cohort: scores of one million films with and without the shift,
mixed as a stratum mixes them. Two tables compared are judged by benchmarks/audit_changes_validity.py.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from scipy import stats

from bias_audit.audit import AuditResult, audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.metrics import metric_named
from bias_audit.planted import LABELS, PLANTED_LABEL, SITES, Simulation, simulate
from bias_audit.rows import Rows
from bias_audit.settings import AuditConfig, Recipe
from raydino.tracking import track

TESTED = ("auroc", "sensitivity", "specificity")
DESCRIBED = ("auprc", "ppv", "npv", "brier", "net_benefit", "calibration_slope", "calibration_intercept")
SHIFTS = (0.5, 1.0, 2.0, 3.0)  # logits
BY = ("sex", "age", "site", "view")  # a patient has films of both views
CELL = ("sex × site", "F × Lakeside Clinic")
REFERENCE = {"sex": "M", "site": "Harbour Hospital", "sex × site": "M × Harbour Hospital"}
BANDS = (5, 10, 20, 50, 150, 10**9)  # patients with the finding
KEY = ["axis", "stratum", "label", "metric"]


@dataclass(frozen=True)
class Truth:
    """Metrics of films without and with the shift, and how large each group is."""

    without: dict[str, float]
    shifted: dict[float, dict[str, float]]
    bands: dict[str, float]  # age band → share of patients
    unknown: float

    def share(self, axis: str, stratum: str) -> tuple[float, float]:
        """Share of patients in the stratum, and of the stratum's in the planted cell."""
        named = dict(zip(axis.split(" × "), stratum.split(" × "), strict=True)) if axis != "all" else {}
        sexes = {"UNKNOWN": self.unknown, **dict.fromkeys("FM", (1 - self.unknown) / 2)}
        sites = dict(zip(SITES, (0.45, 0.3, 0.25), strict=True))
        size = sexes.get(named.get("sex", ""), 1.0) * sites.get(named.get("site", ""), 1.0)
        size *= self.bands[named["age"]] if "age" in named else 1.0
        women = float(named["sex"] == "F") if "sex" in named else sexes["F"]
        size *= {"PA": 0.6, "AP": 0.4}.get(named.get("view", ""), 1.0)
        at_site = float(named["site"] == "Lakeside Clinic") if "site" in named else sites["Lakeside Clinic"]
        return size, women * at_site

    def of(self, axis: str, stratum: str, label: str, metric: str, shift: float) -> tuple[float, float]:
        """The metric's true value in the stratum and in everyone else; both are linear in the positives' scores."""
        low = self.without[metric]
        if not shift or label != PLANTED_LABEL:
            return low, low
        fall = self.shifted[shift][metric] - low
        size, inside = self.share(axis, stratum)
        _, everyone = self.share("all", "all")
        rest = (everyone - size * inside) / (1 - size) if size < 1 else np.nan
        return low + inside * fall, low + rest * fall


def truth_of(simulation: Simulation) -> Truth:
    big = replace(simulation, patients=60_000, unknown=0.0)
    frame = simulate(big, np.random.default_rng(99))
    logit = np.log(frame["score"].clip(5e-5, 1 - 5e-5) / (1 - frame["score"].clip(5e-5, 1 - 5e-5)))
    values: dict[float, dict[str, float]] = {}
    for shift in (0.0, *SHIFTS):
        score = 1 / (1 + np.exp(-(logit - shift * frame["target"])))
        rows = Rows(frame["target"].to_numpy(), score.to_numpy(), np.full(len(frame), 0.5))
        values[shift] = {name: metric_named(name)(rows) for name in (*TESTED, *DESCRIBED)}
    edges = (0, 18, 40, 60, 80, 200)  # of an age that is clipped to 1..99 and rounded to a tenth
    cut = [stats.norm.cdf(edge - 0.05, 58, 18) if 0 < edge < 200 else float(edge > 0) for edge in edges]
    known = np.diff(cut) * (1 - simulation.unknown)
    bands = dict(zip(("<18", "18–39", "40–59", "60–79", "80+"), known, strict=True)) | {"UNKNOWN": simulation.unknown}
    return Truth(values.pop(0.0), values, bands, simulation.unknown)


def run(frame: pd.DataFrame, config: AuditConfig) -> AuditResult:
    table = table_of(frame, "simulated")
    recipe = config.recipe
    return audit(table, choose_axes(recipe.by, table.groups, recipe.age_edges_years, skip_absent=False), config)


class Tally:
    """Rows of all audits with the truth beside them."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.frames: dict[str, list[pd.DataFrame]] = defaultdict(list)

    def add(self, result: AuditResult, shift: float, seed: int, unit: str) -> None:
        """``unit``: what was resampled, patients or films."""
        base = {"shift": shift, "seed": seed, "unit": unit}
        strata = result.strata[result.strata["status"] == "ok"]
        inside, _ = self._true(strata, shift)
        if shift:  # mixtures are only linear in these
            strata, inside = strata[strata["metric"].isin(TESTED)], inside[strata["metric"].isin(TESTED).to_numpy()]
        self.frames["estimate"].append(_covered(strata, "ci_low", "ci_high", inside).assign(**base))
        self.add_gaps(result, shift, seed, unit)
        references = result.references[result.references["status"] == "ok"]
        other = references.assign(stratum=references["reference"])
        against = self._true(references, shift)[0] - self._true(other, shift)[0]
        self.frames["reference"].append(_covered(references, "ci_low", "ci_high", against).assign(**base))
        spreads = result.spreads[(result.spreads["status"] == "ok") & result.spreads["metric"].isin(TESTED)]
        spreads = spreads[spreads["axis"].isin(["sex", "site", "sex × site"])]
        widest = np.array(
            [self._widest(strata, row, shift) for row in spreads[["axis", "label", "metric"]].itertuples()]
        )
        self.frames["spread"].append(_covered(spreads, "difference_low", "difference_high", widest).assign(**base))

    def add_gaps(self, result: AuditResult, shift: float, seed: int, unit: str) -> None:
        """Gaps alone, which is all that false alarms are counted from."""
        gaps = result.gaps
        inside, rest = self._true(gaps, shift)
        behind = result.strata.set_index(KEY)["n_positive_patients"]
        patients = behind.loc[pd.MultiIndex.from_frame(gaps[KEY])].to_numpy()
        gaps = _covered(gaps, "ci_low", "ci_high", inside - rest).assign(n_positive_patients=patients)
        self.frames["gap"].append(gaps.assign(shift=shift, seed=seed, unit=unit))

    def _true(self, frame: pd.DataFrame, shift: float) -> tuple[np.ndarray, np.ndarray]:
        values = [self.truth.of(*row, shift) for row in frame[KEY].itertuples(index=False)]
        return tuple(np.array(values).reshape(-1, 2).T)  # type: ignore[return-value]

    def _widest(self, strata: pd.DataFrame, row: tuple, shift: float) -> float:
        same = strata[(strata["axis"] == row.axis) & (strata["label"] == row.label) & (strata["metric"] == row.metric)]
        return float(np.ptp(self._true(same, shift)[0]))

    def table(self, name: str) -> pd.DataFrame:
        return pd.concat(self.frames[name], ignore_index=True)


def _covered(frame: pd.DataFrame, low: str, high: str, truth: np.ndarray) -> pd.DataFrame:
    slack = 1e-9
    covered = (frame[low] <= truth + slack) & (truth - slack <= frame[high])
    return frame.assign(truth=truth, covered=covered)


def touches_planted(axis: str, stratum: str) -> bool:
    """Whether a stratum can hold a patient of the planted one."""
    value = dict(zip(axis.split(" × "), stratum.split(" × "), strict=True))
    return value.get("sex", "F") == "F" and value.get("site", "Lakeside Clinic") == "Lakeside Clinic"


def coverage(tally: Tally) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """By kind and metric, by patients behind the figure, and the figures for JSON."""
    parts = []
    for kind in ("estimate", "gap", "reference", "spread"):
        frame = tally.table(kind)
        parts.append(frame[frame["status"] == "ok"].assign(kind=kind))
    rows = pd.concat(parts, ignore_index=True)
    by_metric = rows.pivot_table(index=["kind", "metric"], columns="unit", values="covered", observed=True)
    by_metric["rows"] = rows[rows["unit"] == "patients"].groupby(["kind", "metric"]).size()
    counted = rows[(rows["unit"] == "patients") & rows["kind"].isin(["estimate", "gap"]) & rows["metric"].isin(TESTED)]
    band = pd.cut(counted["n_positive_patients"].astype(float), BANDS, right=False)
    by_band = counted.groupby(["kind", "metric", band], observed=True)["covered"].agg(["mean", "size"])
    tested = rows[rows["metric"].isin(TESTED)]
    means = tested.groupby(["kind", "unit"])["covered"].mean()
    return by_metric.round(3), by_band.round(3), {f"coverage_{k}_{u}": v for (k, u), v in means.items()}


def alarms(tally: Tally) -> dict[str, float]:
    gaps = tally.table("gap")
    null = gaps[(gaps["shift"] == 0) & (gaps["unit"] == "patients")]
    by_seed = null.groupby("seed")
    plain = (null["p_value"] < 0.05) & (null["gap"].abs() >= 0.05)
    p_value = null["p_value"].dropna()
    return {
        "null_audits_with_a_flag": (by_seed["flagged"].sum() > 0).mean(),
        "tests_per_audit": by_seed["p_value"].count().mean(),
        "unadjusted_flags_per_audit": plain.groupby(null["seed"]).sum().mean(),
        "null_p_below_0.05": (p_value < 0.05).mean(),
        "null_p_below_0.001": (p_value < 0.001).mean(),
    }


def power(tally: Tally) -> pd.DataFrame:
    """By size of the planted shift, over audits of patients."""
    gaps = tally.table("gap")
    gaps = gaps[(gaps["shift"] > 0) & (gaps["unit"] == "patients")]
    cell = gaps[(gaps["axis"] == CELL[0]) & (gaps["stratum"] == CELL[1]) & (gaps["label"] == PLANTED_LABEL)]
    clean = gaps[~np.array([touches_planted(a, s) for a, s in zip(gaps["axis"], gaps["stratum"], strict=True)])]
    rows = []
    for shift, here in cell.groupby("shift"):
        row = {"shift in logits": shift}
        for metric in ("auroc", "sensitivity"):
            of = here[here["metric"] == metric]
            row |= {f"{metric}: true gap": of["truth"].iloc[0], f"{metric}: found": of["flagged"].mean()}
            row[f"{metric}: detectable"] = of["detectable"].median()
        row["found by either"] = here.groupby("seed")["flagged"].any().mean()
        flags = clean[clean["shift"] == shift].groupby("seed")["flagged"].any()
        rows.append(row | {"audits with a flag elsewhere": flags.mean()})
    return pd.DataFrame(rows)


def verdict_rates(tally: Tally) -> dict[str, float]:
    gaps = tally.table("gap")
    gaps = gaps[(gaps["unit"] == "patients") & gaps["verdict"].notna()]
    margin = 0.05
    far, none = gaps[gaps["truth"].abs() >= margin], gaps[(gaps["truth"] == 0) & (gaps["shift"] == 0)]
    edge = gaps[gaps["truth"].abs().between(margin, 1.5 * margin)]
    return {
        "true_gap_of_margin_called_equivalent": (far["verdict"] == "equivalent").mean(),
        "true_gap_just_over_margin_called_equivalent": (edge["verdict"] == "equivalent").mean(),
        "no_gap_called_different": (none["verdict"] == "different").mean(),
        "no_gap_called_equivalent": (none["verdict"] == "equivalent").mean(),
        "no_gap_undecided": (none["verdict"] == "undecided").mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="4 seeds")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--null-seeds", type=int, default=0, help="further audits without bias, for false alarms alone")
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--bootstraps", type=int, default=200)
    options = parser.parse_args()
    if options.quick:
        options.seeds = 4
    clustered = Simulation(patients=options.patients, films_mean=4.0, prevalence=0.3, patient_spread=1.2)
    full = AuditConfig(
        recipe=Recipe(bootstraps=options.bootstraps, by=BY, metrics=(*TESTED, *DESCRIBED), reference=REFERENCE)
    )
    tested = AuditConfig(recipe=Recipe(by=BY, bootstraps=options.bootstraps, metrics=TESTED, reference=REFERENCE))
    quickest = AuditConfig(recipe=Recipe(by=BY, bootstraps=100, metrics=TESTED))
    tally = Tally(truth_of(clustered))
    started = time.process_time()
    for seed in track(range(options.seeds), "Seeds"):
        null = simulate(clustered, np.random.default_rng([seed, 0]))
        tally.add(run(null, full), 0.0, seed, "patients")
        tally.add(run(null.assign(patient_id=null["sample_id"]), full), 0.0, seed, "films")
        for k, shift in enumerate(SHIFTS):
            biased = simulate(replace(clustered, shift=shift), np.random.default_rng([seed, 1 + k]))
            biased = biased[biased["label"].isin([PLANTED_LABEL, *LABELS[:2]])]
            tally.add(run(biased, tested), shift, seed, "patients")
    for seed in track(range(1000, 1000 + options.null_seeds), "Without bias"):
        tally.add_gaps(run(simulate(clustered, np.random.default_rng([seed, 0])), quickest), 0.0, seed, "patients")

    by_metric, by_band, covered = coverage(tally)
    found = power(tally)
    print("\nCoverage of 95 % intervals, resampling patients (as the audit does) and films (as if each were a patient)")
    print(by_metric.to_string())
    print("\nThe same by patients with the finding, resampling patients")
    print(by_band.to_string())
    print("\nPower in the planted stratum")
    print(found.round(3).to_string(index=False))
    figures = covered | alarms(tally) | verdict_rates(tally) | {"seconds": time.process_time() - started}
    for name, value in figures.items():
        print(f"{name:45s} {value:.4f}")
    figures |= {f"found_at_shift_{row['shift in logits']:g}": row["found by either"] for _, row in found.iterrows()}
    print(
        json.dumps(
            {
                "benchmark": "audit_validity",
                "machine": f"{platform.processor() or platform.machine()}, one thread",
                "config": {name: getattr(options, name) for name in ("seeds", "null_seeds", "patients", "bootstraps")},
                "figures": {name: round(float(value), 4) for name, value in figures.items()},
                "ratios": {
                    "gap_miss_rate_vs_resampled_films": round(
                        (1 - covered["coverage_gap_patients"]) / (1 - covered["coverage_gap_films"]), 3
                    )
                },
            }
        )
    )


if __name__ == "__main__":
    main()
