"""Does the audit find a planted bias, and stay silent where there is none? Over many simulated cohorts.

    .venv/bin/python benchmarks/audit_planted_bias.py [--quick] [--seeds 200] [--patients 900] [--bootstraps 200]

Each seed simulates two cohorts of clustered patients (bias_audit.planted): one without any bias, one in which
positives of Pleural Effusion score lower in women at one site. Measured, against the peers in brackets:

- planted: share of seeds in which the planted stratum is flagged, and is named as a root
- clean: flags a planted-cohort audit raises in strata that share no patient with the planted one
- false alarms: share of null audits with any flag, and flags an audit (peer: p < 0.05 without adjustment)
- coverage of 95 % intervals of strata (peer: the percentile bootstrap alone); truth from 300,000 patients
- share of null gaps with p < 0.05 and < 0.001, which should not exceed 0.05 and 0.001

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bias_audit.audit import AuditResult, audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.intervals import patient_multiplicities, percentile_interval
from bias_audit.metrics import AUROC, SENSITIVITY, SPECIFICITY
from bias_audit.planted import LABELS, PLANTED_LABEL, Simulation, simulate
from bias_audit.replicates import replicate_all
from bias_audit.settings import AuditConfig, Recipe
from raydino.tracking import track

BAND_EDGES = (5, 10, 20, 50, 10**9)  # patients with the finding
TESTED = ("auroc", "sensitivity", "specificity")
PLANTED = ("sex × site", "F × Lakeside Clinic")


@dataclass
class Tally:
    """What the seeds add up to."""

    found: list[bool] = field(default_factory=list)
    root: list[bool] = field(default_factory=list)
    clean_flags: list[int] = field(default_factory=list)
    null_flags: list[int] = field(default_factory=list)
    null_unadjusted: list[int] = field(default_factory=list)
    gaps: list[pd.DataFrame] = field(default_factory=list)
    strata: list[pd.DataFrame] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="6 seeds, under a minute")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--patients", type=int, default=900)
    parser.add_argument("--bootstraps", type=int, default=200)
    parser.add_argument("--shift", type=float, default=2.0, help="logits by which planted positives score lower")
    options = parser.parse_args()
    seeds = 6 if options.quick else options.seeds
    config = AuditConfig(recipe=Recipe(bootstraps=options.bootstraps, metrics=(*TESTED, "underdiagnosis_rate")))
    null = Simulation(patients=options.patients)
    truth = population_truth(null)
    tally = Tally()
    for seed in track(range(seeds), "Seeds"):
        measure_planted(replace(null, shift=options.shift), seed, config, tally)
        measure_null(null, seed, config, truth, tally)
    report(tally, options, seeds)


def run(simulation: Simulation, rng: np.random.Generator, config: AuditConfig) -> AuditResult:
    table = table_of(simulate(simulation, rng), "simulated")
    recipe = config.recipe
    axes = choose_axes(recipe.by, table.groups, recipe.age_edges_years, skip_absent=False)
    return audit(table, axes, config)


def population_truth(simulation: Simulation) -> dict[str, float]:
    """Metric → value in a cohort so large that its own error does not matter; the same in every label and stratum."""
    frame = simulate(replace(simulation, patients=300_000, unknown=0.0), np.random.default_rng(99))
    frame = frame[frame["label"] == LABELS[0]]
    called, target = frame["score"] >= 0.5, frame["target"] == 1
    from sklearn.metrics import roc_auc_score

    return {
        "auroc": float(roc_auc_score(target, frame["score"])),
        "sensitivity": float(called[target].mean()),
        "specificity": float((~called[~target]).mean()),
    }


def measure_planted(simulation: Simulation, seed: int, config: AuditConfig, tally: Tally) -> None:
    started = time.perf_counter()
    result = run(simulation, np.random.default_rng([seed, 1]), config)
    tally.seconds.append(time.perf_counter() - started)
    flagged = result.gaps[result.gaps["flagged"]]
    of_label = flagged[flagged["label"] == PLANTED_LABEL]
    hit = of_label[(of_label["axis"] == PLANTED[0]) & (of_label["stratum"] == PLANTED[1])]
    tally.found.append(len(hit) > 0)
    tally.root.append(bool(hit["explained_by"].isna().any()))
    touches = np.array([touches_planted(a, s) for a, s in zip(flagged["axis"], flagged["stratum"], strict=True)], bool)
    tally.clean_flags.append(len(flagged) - int(((flagged["label"] == PLANTED_LABEL) & touches).sum()))


def touches_planted(axis: str, stratum: str) -> bool:
    """Whether a stratum can hold a patient of the planted one."""
    value = dict(zip(axis.split(" × "), stratum.split(" × "), strict=True))
    return value.get("sex", "F") == "F" and value.get("site", "Lakeside Clinic") == "Lakeside Clinic"


def measure_null(simulation: Simulation, seed: int, config: AuditConfig, truth: dict[str, float], tally: Tally) -> None:
    result = run(simulation, np.random.default_rng([seed, 2]), config)
    gaps = result.gaps[result.gaps["status"] == "ok"]
    tally.null_flags.append(int(result.gaps["flagged"].sum()))
    plain = (gaps["p_value"] < 0.05) & (gaps["gap"].abs() >= config.recipe.margin) & (gaps["direction"] == "worse")
    tally.null_unadjusted.append(int(plain.sum()))
    key = ["axis", "stratum", "label", "metric"]
    counts = result.strata[[*key, "n_positive_patients"]]
    tally.gaps.append(gaps.merge(counts, on=key))
    strata = result.strata[(result.strata["status"] == "ok") & result.strata["metric"].isin(TESTED)]
    strata = strata.merge(percentile_alone(result, seed), on=key)
    tally.strata.append(strata.assign(truth=strata["metric"].map(truth)))


def percentile_alone(result: AuditResult, seed: int) -> pd.DataFrame:
    """The peer: plain percentile intervals of one label, from as many replicates."""
    label, data = next(iter(result.by_label.items()))
    bootstraps = result.config.recipe.bootstraps
    weights = patient_multiplicities(int(data.patient.max()) + 1, bootstraps, np.random.default_rng(seed))
    wanted = np.ones(data.strata, bool)
    frames = []
    for name, replicates in replicate_all(data, [AUROC, SENSITIVITY, SPECIFICITY], weights, wanted, 64).items():
        low, high = percentile_interval(replicates.inside[:, 1:], 0.95)
        frames.append(
            pd.DataFrame(
                {"axis": result.index.axes, "stratum": result.index.names, "label": label, "metric": name}
            ).assign(peer_low=low, peer_high=high)
        )
    return pd.concat(frames)


def report(tally: Tally, options: argparse.Namespace, seeds: int) -> None:
    gaps, strata = pd.concat(tally.gaps), pd.concat(tally.strata)
    strata["covered"] = (strata["ci_low"] <= strata["truth"]) & (strata["truth"] <= strata["ci_high"])
    strata["peer_covered"] = (strata["peer_low"] <= strata["truth"]) & (strata["truth"] <= strata["peer_high"])
    gaps["covered"] = (gaps["ci_low"] <= 0) & (gaps["ci_high"] >= 0)
    for frame in (gaps, strata):
        frame["patients with finding"] = pd.cut(frame["n_positive_patients"], BAND_EDGES, right=False)
    for level in (0.05, 0.001):
        gaps[f"p<{level}"] = gaps["p_value"] < level
    by = ["metric", "patients with finding"]
    print("\nCoverage of 95 % intervals of strata (peer: percentile bootstrap alone)")
    print(strata.groupby(by, observed=True)[["covered", "peer_covered"]].agg("mean").round(3).to_string())
    print("\nNull gaps: coverage of 0, and share with a small p-value")
    print(gaps.groupby(by, observed=True)[["covered", "p<0.05", "p<0.001"]].agg("mean").round(4).to_string())
    figures = {
        "planted_found": np.mean(tally.found),
        "planted_named_as_root": np.mean(tally.root),
        "planted_audits_with_a_clean_flag": np.mean(np.array(tally.clean_flags) > 0),
        "clean_flags_per_planted_audit": np.mean(tally.clean_flags),
        "null_audits_with_a_flag": np.mean(np.array(tally.null_flags) > 0),
        "flags_per_null_audit": np.mean(tally.null_flags),
        "unadjusted_flags_per_null_audit": np.mean(tally.null_unadjusted),
        "tests_per_null_audit": len(gaps) / seeds,
        "null_p_below_0.05": gaps["p<0.05"].mean(),
        "null_p_below_0.001": gaps["p<0.001"].mean(),
        "gap_coverage": gaps["covered"].mean(),
        "stratum_coverage": strata["covered"].mean(),
        "stratum_coverage_percentile_alone": strata["peer_covered"].mean(),
        "seconds_per_audit": float(np.median(tally.seconds)),
    }
    ratios = {
        "false_alarms_vs_unadjusted": float(np.mean(tally.null_flags) / max(np.mean(tally.null_unadjusted), 1e-9)),
        "stratum_miss_rate_vs_percentile_alone": float(
            (1 - strata["covered"].mean()) / max(1 - strata["peer_covered"].mean(), 1e-9)
        ),
    }
    print(
        json.dumps(
            {
                "benchmark": "audit_planted_bias",
                "machine": f"{platform.processor() or platform.machine()}, one thread",
                "config": {"seeds": seeds, **{k: getattr(options, k) for k in ("patients", "bootstraps", "shift")}},
                "figures": {name: round(float(value), 5) for name, value in figures.items()},
                "ratios": {name: round(value, 4) for name, value in ratios.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
