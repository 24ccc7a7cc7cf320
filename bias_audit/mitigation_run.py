"""``raydino audit mitigate``: two tables of predictions in, an artifact of gain and cost out.

Beside the tables and the page it writes ``METHOD.parquet``, the test predictions after each method, for a full
``raydino audit``. Neighbours: ``mitigation`` (the figures), ``page`` (the templates' words).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bias_audit.inputs import AuditTable
from bias_audit.metrics import metric_named
from bias_audit.mitigation import WARNING, Mitigation, mitigate
from bias_audit.page import environment, flat
from bias_audit.render import DISCLAIMER, records
from bias_audit.run import AuditRun
from bias_audit.treatments import METHODS
from raydino import __version__
from raydino.artifacts.audit import MITIGATED, MITIGATED_GAPS, MITIGATION, TREATMENTS
from raydino.artifacts.header import creating, refuse_existing, write_json
from raydino.tracking import console, track

METHODS_BY_DEFAULT = ("group_thresholds", "group_calibration", "equal_opportunity", "equalized_odds")
COSTS = ("sensitivity", "specificity", "underdiagnosis_rate", "balanced_accuracy", "auroc", "brier")


def write_mitigation(
    tables: tuple[Path, Path], run: AuditRun, methods: Sequence[str], out: Path, *, overwrite: bool
) -> None:
    """Fit on the first of ``tables``, judge on the second, write the artifact."""
    refuse_existing(out, overwrite=overwrite)
    chosen = list(dict.fromkeys(methods or METHODS_BY_DEFAULT))
    for name in chosen:
        METHODS.get(name)  # an unknown one is told before any work
    (val, val_axes), (test, test_axes) = (run.read(path) for path in tables)
    found = mitigate(val, test, (val_axes, test_axes), run.settings, chosen, lambda names: track(names, "Methods"))
    report = mitigation_values(found, val, test, [axis.name for axis in test_axes])
    inputs = {f"{what}: {k}": v for what, t in (("val", val), ("test", test)) for k, v in t.inputs.items()}
    recorded = found.config.resolved() | {"axes": [axis.name for axis in test_axes], "methods": chosen}
    seed = found.config.recipe.seed
    with creating(out, MITIGATION, config=recorded, seed=seed, inputs=inputs, overwrite=overwrite) as partial:
        TREATMENTS.write(found.treatments, partial / "treatments.parquet")
        MITIGATED.write(found.changes, partial / "changes.parquet")
        MITIGATED_GAPS.write(found.gaps, partial / "gap_changes.parquet")
        for name, table in found.tables.items():
            plain_table(table).to_parquet(partial / f"{name}.parquet", index=False)
        write_json(partial / "report.json", report)
        (partial / "report.html").write_text(mitigation_html(found, report), encoding="utf-8")
    for row in report["methods"]:
        console.print(f"{row['method']}: {row['summary']}", markup=False, highlight=False)
    console.print(WARNING, markup=False)
    console.print(f"Report: {out / 'report.html'}")


def plain_table(table: AuditTable) -> pd.DataFrame:
    """Rows and groups side by side, as ``raydino audit`` reads them."""
    films = table.films.loc[table.rows["film"]].reset_index(drop=True)
    return films.join(table.rows[["label", "target", "score", "threshold"]].reset_index(drop=True))


def mitigation_values(found: Mitigation, val: AuditTable, test: AuditTable, axes: Sequence[str]) -> dict[str, Any]:
    """Everything that the page says, as JSON types."""
    return {
        "format": "raydino audit mitigation",
        "format_version": 1,
        "use": DISCLAIMER,
        "warning": WARNING,
        "by": list(axes),
        **{
            what: {
                "source": table.source,
                "films": len(table.films),
                "patients": int(table.films["patient_id"].nunique()),
                "fingerprints": table.inputs,
                "notes": list(table.notes),
            }
            for what, table in (("val", val), ("test", test))
        },
        "methods": [_method_row(found, name) for name in found.compared],
        "treatments": records(found.treatments),
        "gap_changes": records(found.gaps),
        "changes": records(found.changes),
        "settings": found.config.resolved(),
        "producer": f"raydino {__version__}",
    }


def _method_row(found: Mitigation, name: str) -> dict[str, Any]:
    changes = found.compared[name]
    gaps = changes.gaps["verdict"].value_counts()
    judged = int(changes.gaps["verdict"].notna().sum())
    everyone = changes.figures[(changes.figures["axis"] == "all") & changes.figures["metric"].isin(COSTS)]
    worse = int((everyone["verdict"] == "worse").sum())
    narrowed, widened = (int(gaps.get(word, 0)) for word in ("narrowed", "widened"))
    return {
        "method": name,
        "meaning": " ".join((METHODS.get(name).__doc__ or "").split("\n\n")[0].split()),
        "judged": judged,
        "narrowed": narrowed,
        "widened": widened,
        "worse_for_everyone": worse,
        "summary": f"of {judged} gaps {narrowed} surely narrowed and {widened} surely widened; {worse} figures of "
        "everyone are surely worse",
    }


def gain_and_cost(found: Mitigation) -> list[dict[str, Any]]:
    """One row a method and label: the largest gap before of each tested metric, after, and everyone's figures."""
    rows = []
    for (name, label), gaps in found.gaps.groupby(["method", "label"], sort=False):
        ok = gaps[(gaps["status"] == "ok") & (gaps["metric"] != "balanced_accuracy")]
        largest = ok.loc[ok.groupby("metric", sort=False)["old"].agg(lambda old: old.abs().idxmax())]
        costs = found.changes[
            (found.changes["method"] == name)
            & (found.changes["label"] == label)
            & (found.changes["axis"] == "all")
            & (found.changes["status"] == "ok")
            & found.changes["metric"].isin(COSTS)
        ]
        rows.append({"method": name, "label": label, "gaps": records(largest), "costs": records(costs)})
    return rows


def mitigation_html(found: Mitigation, report: dict[str, Any]) -> str:
    """The page as text."""
    first = next(iter(found.compared.values()))
    titles = {part.axis: part.title for part in first.partitions}
    order = {"narrowed": 0, "widened": 1, "shifted": 2}
    gaps = sorted(report["gap_changes"], key=lambda row: (order.get(row["verdict"] or "", 3), row["widening"] or 0.0))
    return (
        environment(titles)
        .get_template("mitigate.html")
        .render(
            report=report,
            recipe=found.config.recipe,
            rows=gain_and_cost(found),
            gaps=[row for row in gaps if row["status"] == "ok" and metric_named(row["metric"]).tested],
            choices=flat(found.config.resolved()),
        )
    )
