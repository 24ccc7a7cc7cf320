"""Can a comparison be believed? Coverage, false alarms and power of ``raydino audit compare`` where the truth is known.

    .venv/bin/python benchmarks/audit_changes_validity.py [--quick] [--seeds 4] [--null-seeds 70]

The companion of benchmarks/audit_validity.py for two tables. Each seed simulates an older table of clustered patients
(bias_audit.planted, four films each on average) and a newer one of a model that is as good, whose scores
go half with the older one's. The newer table holds the same films, other patients, or half and half. Nothing
changes; or a bias that stood in both stays; or one comes (or goes) among women at one site. Measured:

- coverage of 95 % intervals of changes of figures and of gaps, by metric and by patients behind the figure, where
  nothing is planted, where a bias stays and where one comes
- false alarms: comparisons without any change of which a gap is called widened, narrowed or shifted, or a
  figure better or worse (unadjusted p < 0.05 beside it)
- power: how often the planted stratum is called widened (narrowed), by the size of the true change; and how many
  verdicts of change were wrong: the true gap did not grow (shrink) at all
- how often a gap that truly changed by the margin or more is called unchanged

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass, replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from audit_validity import BY, CELL, DESCRIBED, KEY, TESTED, Truth, truth_of  # puts the project on the path
from scipy.special import expit, logit

from bias_audit.axes import choose_axes
from bias_audit.compare import Changes, compare
from bias_audit.inputs import table_of
from bias_audit.planted import LABELS, PLANTED_LABEL, Simulation, simulate
from bias_audit.settings import AuditConfig, Recipe
from raydino.tracking import track

ALIKE = 0.7  # correlation of the older and the newer model's errors on a film
PAIRINGS = ("same films", "half the patients", "other patients")
NOTHING = (0.0, 0.0)
PLANTED = ((2.0, 2.0), (0.0, 1.0), (0.0, 2.0), (0.0, 3.0), (2.0, 0.0))  # shift in logits, older and newer
CHANGED = ("widened", "narrowed", "shifted")
BANDS = (20, 40, 80, 160, 10**9)  # patients of the older table in the stratum


@dataclass(frozen=True)
class Pair:
    """How one pair of tables was made."""

    pairing: str
    shifts: tuple[float, float]

    def tables(self, simulation: Simulation, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The older table and the newer one."""
        without, with_ = self.shifts
        old = simulate(replace(simulation, shift=without), rng)
        newer = replace(simulation, shift=with_)
        if self.pairing == "same films":
            return old, again(old, simulation, self.shifts, rng)
        strangers = simulate(newer, rng)
        strangers = strangers.assign(**{name: "x" + strangers[name] for name in ("patient_id", "sample_id")})
        if self.pairing == "other patients":
            return old, strangers
        kept, joined = (
            frame[frame["patient_id"].isin(frame["patient_id"].unique()[::2])] for frame in (old, strangers)
        )
        return old, pd.concat([again(kept, simulation, self.shifts, rng), joined], ignore_index=True)


def again(
    old: pd.DataFrame, simulation: Simulation, shifts: tuple[float, float], rng: np.random.Generator
) -> pd.DataFrame:
    """The same films by a model that errs as much, but only half alike."""
    target = old["target"].fillna(0).to_numpy()
    hit = (target == 1) & (old["label"] == PLANTED_LABEL) & (old["sex"] == "F") & (old["site"] == "Lakeside Clinic")
    right = simulation.separation * (target - 0.5)
    error = logit(old["score"].clip(5e-5, 1 - 5e-5)) - right + shifts[0] * hit
    by_patient = old.groupby(["label", "patient_id"]).ngroup().to_numpy()
    fresh = rng.normal(0, simulation.patient_spread, by_patient.max() + 1)[by_patient] + rng.normal(0, 1, len(old))
    position = right + ALIKE * error + np.sqrt(1 - ALIKE**2) * fresh - shifts[1] * hit
    return old.assign(score=expit(position).round(4))


def run(old: pd.DataFrame, new: pd.DataFrame, config: AuditConfig) -> Changes:
    tables = [table_of(frame, name) for frame, name in ((old, "old"), (new, "new"))]
    edges = config.recipe.age_edges_years
    axes = [choose_axes(config.recipe.by, table.groups, edges, skip_absent=False) for table in tables]
    return compare(tables[0], tables[1], (axes[0], axes[1]), config)


def with_truth(changes: Changes, pair: Pair, seed: int, truth: Truth) -> pd.DataFrame:
    """Figures and gaps of one comparison, with the true change and whether the interval holds it."""
    parts = []
    behind = changes.figures.set_index(KEY)[["n_patients_old", "n_patients_new"]].min(axis=1)
    for kind, frame in (("figure", changes.figures), ("gap", changes.gaps)):
        frame = frame[frame["status"] == "ok"]
        if pair.shifts != NOTHING:
            frame = frame[frame["metric"].isin(TESTED)]  # mixtures are only linear in these
        sides = [
            np.array([truth.of(*row, shift) for row in frame[KEY].itertuples(index=False)]) for shift in pair.shifts
        ]
        old, new = (side[:, 0] if kind == "figure" else side[:, 0] - side[:, 1] for side in sides)
        frame = frame.assign(kind=kind, true_old=old, true_new=new, true=new - old)
        frame["patients"] = behind.loc[pd.MultiIndex.from_frame(frame[KEY])].to_numpy()
        parts.append(frame)
    rows = pd.concat(parts, ignore_index=True)
    rows["covered"] = (rows["ci_low"] - 1e-9 <= rows["true"]) & (rows["true"] <= rows["ci_high"] + 1e-9)
    shifts = f"{pair.shifts[0]:g} to {pair.shifts[1]:g}"
    return rows.assign(pairing=pair.pairing, shifts=shifts, seed=seed)


def alarms(null: pd.DataFrame) -> pd.DataFrame:
    """By pairing: comparisons with a verdict of change although nothing changed."""
    rows = []
    for pairing, here in null.groupby("pairing", sort=False):
        by_seed = here["seed"]
        figures, gaps = here[here["kind"] == "figure"], here[here["kind"] == "gap"]
        rows.append(
            {
                "pairing": pairing,
                "comparisons": by_seed.nunique(),
                "tests": (here["p_adjusted"].notna().sum() / by_seed.nunique()).round(),
                "gap alarms": gaps["verdict"].isin(CHANGED).groupby(by_seed).any().mean(),
                "figure alarms": figures["verdict"].isin(["better", "worse"]).groupby(by_seed).any().mean(),
                "unadjusted, each": (here["p_value"] < 0.05).groupby(by_seed).sum().mean(),
                "p < .05": (gaps["p_value"] < 0.05).mean(),
                "p < .001": (gaps["p_value"] < 0.001).mean(),
                "unchanged": (gaps["verdict"] == "unchanged").mean(),
            }
        )
    return pd.DataFrame(rows)


def power(rows: pd.DataFrame) -> pd.DataFrame:
    """In the planted stratum, by pairing and size of the change; and verdicts of change that were wrong."""
    gaps = rows[(rows["kind"] == "gap") & (rows["label"] == PLANTED_LABEL)]
    cell = gaps[(gaps["axis"] == CELL[0]) & (gaps["stratum"] == CELL[1])]
    found = []
    for (pairing, shifts), here in cell.groupby(["pairing", "shifts"], sort=False):
        row: dict[str, object] = {"pairing": pairing, "shifts": shifts}
        for metric in ("auroc", "sensitivity"):
            of = here[here["metric"] == metric]
            row |= {f"{metric}: true": of["true"].mean(), f"{metric}: found": of["verdict"].isin(CHANGED).mean()}
        row["by either"] = here["verdict"].isin(CHANGED).groupby(here["seed"]).any().mean()
        found.append(row)
    return pd.DataFrame(found)


def wrong_verdicts(rows: pd.DataFrame) -> dict[str, float]:
    gaps = rows[(rows["kind"] == "gap") & rows["verdict"].notna()]
    grown = gaps["true_new"].abs() - gaps["true_old"].abs()
    widened, narrowed = gaps["verdict"] == "widened", gaps["verdict"] == "narrowed"
    large = gaps["true"].abs() >= 0.05
    return {
        "widened_verdicts": widened.sum(),
        "widened_that_did_not": (grown[widened] <= 0).mean(),
        "narrowed_verdicts": narrowed.sum(),
        "narrowed_that_did_not": (grown[narrowed] >= 0).mean(),
        "change_of_margin_called_unchanged": (gaps["verdict"] == "unchanged")[large].mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 seeds, and 2 more without change")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--null-seeds", type=int, default=70, help="further pairs without change, for false alarms")
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--bootstraps", type=int, default=200)
    parser.add_argument("--separation", type=float, default=2.6, help="logits; 5 is a model that hardly errs")
    options = parser.parse_args()
    if options.quick:
        options.seeds = options.null_seeds = 2
    simulation = Simulation(patients=options.patients, films_mean=4.0, prevalence=0.3, patient_spread=1.2)
    simulation = replace(simulation, separation=options.separation)
    full = AuditConfig(recipe=Recipe(bootstraps=options.bootstraps, by=BY, metrics=(*TESTED, *DESCRIBED)))
    tested = AuditConfig(recipe=Recipe(bootstraps=options.bootstraps, by=BY, metrics=TESTED))
    truth, found, started = truth_of(simulation), [], time.process_time()
    for seed in track(range(options.seeds), "Seeds"):
        for number, pairing in enumerate(PAIRINGS):
            for k, shifts in enumerate((NOTHING, *PLANTED)):
                pair, rng = Pair(pairing, shifts), np.random.default_rng([seed, number, k])
                old, new = pair.tables(simulation, rng)
                if shifts != NOTHING:
                    old, new = (one[one["label"].isin([PLANTED_LABEL, *LABELS[:2]])] for one in (old, new))
                found.append(with_truth(run(old, new, tested if k else full), pair, seed, truth))
    for seed in track(range(1000, 1000 + options.null_seeds), "Without change"):
        for number, pairing in enumerate(PAIRINGS[::2]):
            pair, rng = Pair(pairing, NOTHING), np.random.default_rng([seed, number])
            found.append(with_truth(run(*pair.tables(simulation, rng), tested), pair, seed, truth))
    report(pd.concat(found, ignore_index=True), options, time.process_time() - started)


def report(rows: pd.DataFrame, options: argparse.Namespace, seconds: float) -> None:
    nothing = rows["shifts"] == "0 to 0"
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print("\nCoverage of 95 % intervals of a change where nothing changed")
        few = rows[nothing & (rows["seed"] < 1000)]
        print(few.pivot_table(index=["kind", "metric"], columns="pairing", values="covered").round(3).to_string())
        core = rows[rows["metric"].isin(TESTED)]
        print("\nAUROC, sensitivity and specificity, by what was planted")
        print(core.pivot_table(index=["kind", "shifts"], columns="pairing", values="covered").round(3).to_string())
        print("\nThe same by patients of the stratum, in the smaller table")
        band = pd.cut(core["patients"].astype(float), BANDS, right=False)
        by_band = core.groupby(["kind", "metric", band], observed=True)["covered"].agg(["mean", "size"])
        print(by_band.round(3).to_string())
        print("\nFalse alarms where nothing changed")
        found = alarms(core[core["shifts"] == "0 to 0"])
        print(found.round(4).to_string(index=False))
        print("\nPower in the planted stratum")
        print(power(rows[~nothing]).round(3).to_string(index=False))
    wrong = wrong_verdicts(rows)
    for name, value in wrong.items():
        print(f"{name:40s} {value:.4f}")
    means = core.groupby(["kind", "pairing"])["covered"].mean()
    figures = {f"coverage_{kind}_{pairing.replace(' ', '_')}": value for (kind, pairing), value in means.items()}
    figures |= {f"gap_alarms_{row.pairing}".replace(" ", "_"): row["gap alarms"] for _, row in found.iterrows()}
    figures |= {f"figure_alarms_{row.pairing}".replace(" ", "_"): row["figure alarms"] for _, row in found.iterrows()}
    print(
        json.dumps(
            {
                "benchmark": "audit_changes_validity",
                "machine": f"{platform.processor() or platform.machine()}, one thread",
                "config": {name: getattr(options, name) for name in vars(options) if name != "quick"},
                "figures": {name: round(float(v), 4) for name, v in (figures | wrong | {"seconds": seconds}).items()},
            }
        )
    )


if __name__ == "__main__":
    main()
