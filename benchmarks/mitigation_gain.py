"""What do reweighing, worst-group training and fairlearn's reductions give to the worst group, and take from everyone?

The configs of ``configs/adapt`` on one frozen encoder, each against its plain twin (``classification_linear``,
``classification_logistic``) on the same test films. For each finding, and their mean: AUROC, cross-entropy of the
probability, balanced accuracy and sensitivity at the operating point, over everyone and in the worst of the groups
(in each draw of patients anew, before and after), and the largest difference between groups. A group counts in a figure
with at least ``--at-least`` patients of each class that the figure needs. Intervals resample patients, the same draws
before and after. ``classes balanced`` knows no groups: what it gains too, groups did not bring. Heads that are fitted
by descent are means over seeds, whose lowest and highest stand beside.

    python benchmarks/mitigation_gain.py dataset --encoder run --by sex --labels Pneumonia Effusion --work /tmp/sex

Finished fits stay in --work and are not done again. Writes ``result.json`` and ``table.md`` there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score

from adapters.batches import FilmFeatures
from adapters.configs import load_adapter_config
from adapters.fit import fit
from adapters.groups import group_of
from adapters.intervals import PatientBootstrap
from adapters.targets import films_answering, films_of
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import extract
from raydino.tracking import console

Floats = npt.NDArray[np.float64]
CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "adapt"
FRONTAL = ("PA", "AP", "UNKNOWN")
LINEAR, LOGISTIC = "linear, plain", "logistic, plain"
SMALL = "recipe.readout=cls_mean"  # of the solved heads: a reduction solves hundreds of regressions


@dataclass(frozen=True)
class Method:
    """A config with changes; ``groups`` is the key under which it tells groups apart, empty where it does not."""

    config: str
    plain: str
    changes: tuple[str, ...] = ()
    groups: str = ""


def methods() -> dict[str, Method]:
    found = {
        LINEAR: Method("classification_linear", LINEAR),
        "linear, plain, classes balanced": Method(
            "classification_linear", LINEAR, ("recipe.loss={kind: weighted_bce}",)
        ),
        LOGISTIC: Method("classification_logistic", LOGISTIC, (SMALL,)),
    }
    for weights in ("independent", "equal_groups", "equal_cells"):
        key = "recipe.objective"
        found[f"linear, reweighing, {weights}"] = Method(
            "classification_linear_reweighing", LINEAR, (f"{key}.weights={weights}",), key
        )
        whole = (SMALL, f"{key}={{kind: reweighing, by: [sex], min_patients: 1, weights: {weights}}}")
        found[f"logistic, reweighing, {weights}"] = Method("classification_logistic", LOGISTIC, whole, key)
    for step in (0.01, 0.1):
        found[f"linear, worst group, step {step}"] = Method(
            "classification_linear_worst_group", LINEAR, (f"recipe.objective.step_size={step}",), "recipe.objective"
        )
    for constraint in ("true_positive_rate_parity", "equalized_odds"):
        found[f"fair, {constraint}"] = Method(
            "classification_fair", LOGISTIC, (SMALL, f"recipe.constraint={constraint}"), "recipe"
        )
    return found


METHODS = methods()
NEEDS = {"auroc": (0, 1), "cross_entropy": (), "balanced_accuracy": (0, 1), "sensitivity": (1,), "specificity": (0,)}
LOWER_IS_BETTER = ("cross_entropy",)


def predictions(dataset: Dataset, arguments: argparse.Namespace) -> dict[str, list[pd.DataFrame]]:
    """Long tables of the test films by method, one a seed; of solved heads one."""
    encoder = Encoder.load(arguments.encoder)
    ids = [film for split in ("train", "val", "test") for film in films_of(dataset, split, FRONTAL)]
    features, found = None, {}
    for method, made in METHODS.items():
        asked = {"labels": arguments.labels, "only": arguments.only}
        words = [*made.changes, *(f"recipe.{key}={json.dumps(value)}" for key, value in asked.items())]
        if made.groups:
            groups = {"by": arguments.by, "min_patients": arguments.min_patients}
            words += [f"{made.groups}.{key}={json.dumps(value)}" for key, value in groups.items()]
        found[method] = []
        for seed in range(arguments.seeds if made.plain == LINEAR else 1):
            path = arguments.work / "predictions" / f"{method.replace(', ', '-').replace(' ', '_')}-{seed}.parquet"
            if not path.is_file():
                console.print(f"{method}, seed {seed} …", highlight=False)
                features = features or extract(encoder, dataset, ids)
                config = load_adapter_config(CONFIGS / f"{made.config}.yaml", [*words, f"recipe.seed={seed}"])
                adapter = fit(config, encoder, dataset, features).adapter
                films = FilmFeatures(features, films_of(dataset, "test", FRONTAL))
                path.parent.mkdir(parents=True, exist_ok=True)
                adapter.evaluate(dataset, films).table.to_parquet(path.with_suffix(".partial"))
                path.with_suffix(".partial").replace(path)
            found[method].append(pd.read_parquet(path))
    return found


def values_of(rows: pd.DataFrame, mask: npt.NDArray[np.bool_], figure: str, draw: PatientBootstrap) -> Floats:
    """[1 + B] a figure over the films of ``mask``: as they are, and in resampled patients."""
    target = np.where(mask, rows["target"].to_numpy(float), np.nan)
    score, threshold = rows["score"].to_numpy(float), rows["threshold"].to_numpy(float)
    if figure == "auroc":
        known = np.isfinite(target)
        return np.concatenate([[roc_auc_score(target[known], score[known])], draw.auroc(target, score)])
    if figure == "balanced_accuracy":
        parts = [values_of(rows, mask, name, draw) for name in ("sensitivity", "specificity")]
        return np.mean(parts, axis=0)
    if figure == "cross_entropy":
        p = np.clip(score, 1e-6, 1 - 1e-6)
        value = -np.where(target == 1, np.log(p), np.log1p(-p)) + 0 * target
    else:
        asked = 1.0 if figure == "sensitivity" else 0.0
        value = np.where(target == asked, ((score >= threshold) == (asked == 1)).astype(float), np.nan)
        if np.isnan(threshold).any():
            value = np.full(len(value), np.nan)  # no operating point
    return np.concatenate([[np.nanmean(value) if np.isfinite(value).any() else np.nan], draw.mean(value)])


def counted(rows: pd.DataFrame, group: npt.NDArray[np.object_], figure: str, at_least: int) -> list[str]:
    """Groups with enough patients for a figure."""
    known, target = rows["target"].notna().to_numpy(), rows["target"].to_numpy()
    names = []
    for name in sorted(set(group[known])):
        inside = known & (group == name)
        parts = [inside & (target == c) for c in NEEDS[figure]] or [inside]
        if min(rows["patient_id"][part].nunique() for part in parts) >= at_least:
            names.append(str(name))
    return names


def figures(table: pd.DataFrame, dataset: Dataset, arguments: argparse.Namespace) -> dict[tuple[str, str, str], Floats]:
    """(label, figure, of whom) → [1 + B]; of whom: everyone, worst group, difference, or a group."""
    found, asked = {}, films_of(dataset, "test", FRONTAL)
    for question in arguments.only:
        asked = films_answering(dataset, "test", question, asked)
    table = table[table["sample_id"].isin(asked)]
    for label, rows in table.groupby("label", sort=False):
        rows = rows.set_index("sample_id").sort_index()
        known = rows["target"].notna().to_numpy()
        group = group_of(arguments.by, dataset, list(rows.index))
        draw = PatientBootstrap(rows["patient_id"].tolist())
        for figure in NEEDS:
            names = counted(rows, group, figure, arguments.at_least)
            each = {name: values_of(rows, known & (group == name), figure, draw) for name in names}
            found |= {(str(label), figure, name): values for name, values in each.items()}
            found[str(label), figure, "everyone"] = values_of(rows, known, figure, draw)
            if len(names) > 1:
                stacked = np.stack(list(each.values()))
                worst = stacked.max(0) if figure in LOWER_IS_BETTER else stacked.min(0)
                found[str(label), figure, "worst group"] = worst
                found[str(label), figure, "difference"] = stacked.max(0) - stacked.min(0)
    for figure in NEEDS:
        for who in ("everyone", "worst group", "difference"):
            parts = [v for (label, f, w), v in found.items() if (f, w) == (figure, who) and np.isfinite(v[0])]
            if parts:
                found["mean of findings", figure, who] = np.mean(parts, axis=0)
    return found


def rows_of(tables: dict[str, list[pd.DataFrame]], dataset: Dataset, arguments: argparse.Namespace) -> list[dict]:
    """One row a method, label, figure and whom, with the change from the plain twin."""
    seen = {method: [figures(t, dataset, arguments) for t in seeds] for method, seeds in tables.items()}
    rows = []
    for method, seeds in seen.items():
        plain = seen[METHODS[method].plain]
        for key in seeds[0]:
            if not all(key in one and np.isfinite(one[key][0]) for one in (*seeds, *plain)):
                continue  # a label without an operating point in one of the fits
            values, before = (np.mean([one[key] for one in many], axis=0) for many in (seeds, plain))
            points = [float(one[key][0]) for one in seeds]
            row = dict(zip(("label", "figure", "of"), key, strict=True)) | {"method": method, "seeds": len(points)}
            row |= _interval("", values) | {"lowest_seed": min(points), "highest_seed": max(points)}
            rows.append(row | _interval("change_", values - before))
    return rows


def _interval(prefix: str, replicates: Floats) -> dict[str, float]:
    low, high = np.nanquantile(replicates[1:], [0.025, 0.975])
    return {f"{prefix}value": float(replicates[0]), f"{prefix}low": float(low), f"{prefix}high": float(high)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| label | figure | of | method | value (95 % over patients) | seeds | change from plain |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in sorted(rows, key=lambda r: (r["label"], r["figure"], r["of"])):
        value, low, high, least, most = (f"{r[k]:.3f}" for k in ("value", "low", "high", "lowest_seed", "highest_seed"))
        change = f"{r['change_value']:+.3f} ({r['change_low']:+.3f} to {r['change_high']:+.3f})"
        seeds = f"{r['seeds']}: {least} to {most}"
        words = (r["label"], r["figure"], r["of"], r["method"], f"{value} ({low}–{high})", seeds, change)
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--by", nargs="+", required=True, help="columns, age, or questions; several are crossed")
    parser.add_argument("--labels", nargs="+", required=True)
    parser.add_argument(
        "--only", nargs="*", default=[], help="questions that films of training and test answer with yes"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--min-patients", type=int, default=20, help="of a group in fitting")
    parser.add_argument("--at-least", type=int, default=10, help="patients of a group in a figure")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    dataset = Dataset.open(arguments.dataset)
    try:
        rows = rows_of(predictions(dataset, arguments), dataset, arguments)
    except UserError as error:
        raise SystemExit(str(error)) from None
    asked = {name: getattr(arguments, name) for name in ("by", "labels", "only", "seeds", "min_patients", "at_least")}
    write_json(arguments.work / "result.json", {"benchmark": "mitigation_gain", "config": asked, "rows": rows})
    (arguments.work / "table.md").write_text(table(rows), encoding="utf-8")
    print(table([row for row in rows if row["of"] in ("everyone", "worst group")]))
    print(json.dumps({"benchmark": "mitigation_gain", "work": str(arguments.work), "rows": len(rows)}))


if __name__ == "__main__":
    main()
