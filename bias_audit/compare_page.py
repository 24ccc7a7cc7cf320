"""The comparison of two audits as an artifact: two parquet tables, report.json and a page like that of an audit.

Neighbours: ``compare`` (the tables), ``page`` (the templates' words), ``conditions`` (the quantities of --fail-on).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bias_audit.compare import UNCHANGED, UNDECIDED, Changes, change_quantities
from bias_audit.metrics import metric_named
from bias_audit.page import environment, flat
from bias_audit.plots import Mark, forest
from bias_audit.render import heading, records
from bias_audit.wording import who
from raydino import __version__
from raydino.artifacts.audit import CHANGES, GAP_CHANGES
from raydino.artifacts.header import write_json

MOST_DRAWN = 16


def write_comparison(changes: Changes, directory: Path) -> None:
    """Write changes.parquet, gap_changes.parquet, report.json and report.html."""
    CHANGES.write(changes.figures, directory / "changes.parquet")
    GAP_CHANGES.write(changes.gaps, directory / "gap_changes.parquet")
    report = comparison_values(changes)
    write_json(directory / "report.json", report)
    (directory / "report.html").write_text(_html(changes, report), encoding="utf-8")


def comparison_values(changes: Changes) -> dict[str, Any]:
    """Everything that the page says, as JSON types."""
    sides = {
        age: {
            "source": table.source,
            "films": len(table.films),
            "patients": int(table.films["patient_id"].nunique()),
            "fingerprints": table.inputs,
            "notes": list(table.notes),
        }
        for age, table in (("old", changes.old), ("new", changes.new))
    }
    return {
        **heading("compare"),
        "summary": summary(changes),
        "paired": pairing(changes),
        **sides,
        "shared_patients": changes.shared_patients,
        "shared_films": changes.shared_films,
        "quantities": change_quantities(changes),
        "gap_changes": records(changes.gaps),
        "changes": records(changes.figures),
        "methods": {"settings": changes.config.resolved(), "producer": f"raydino {__version__}"},
    }


def summary(changes: Changes) -> str:
    """The comparison in one or two sentences."""
    count = changes.gaps["verdict"].value_counts()
    judged = int(changes.gaps["verdict"].notna().sum())
    if not judged:
        return "No gap could be compared: no group had enough patients in both tables."
    widened, narrowed, shifted, unchanged, undecided = (
        int(count.get(name, 0)) for name in ("widened", "narrowed", "shifted", UNCHANGED, UNDECIDED)
    )
    moved = f" and {shifted:,} moved to the other side" if shifted else ""
    small = ": these tables are too small to say" if undecided else ""
    return (
        f"Of {judged:,} gaps, {widened:,} surely widened and {narrowed:,} surely narrowed{moved}. "
        f"{unchanged:,} did not change by as much as matters; {undecided:,} are undecided{small}."
    )


def pairing(changes: Changes) -> str:
    """How the two tables hang together."""
    if not changes.shared_patients:
        return "No patient is in both tables, so the two are compared as independent samples."
    return (
        f"{changes.shared_patients:,} patients are in both tables ({changes.shared_films:,} films); they are drawn "
        "together, so that what is common to both cancels."
    )


def _html(changes: Changes, report: dict[str, Any]) -> str:
    titles = {part.axis: part.title for part in changes.partitions}
    order = {"widened": 0, "narrowed": 1, "shifted": 2}
    gaps = sorted(
        report["gap_changes"], key=lambda row: (order.get(row["verdict"] or "", 3), -abs(row["widening"] or 0.0))
    )
    marks = _marks(gaps, titles)
    picture = forest("Change of gaps, new less old", marks, 0.0, (-2.0, 2.0)) if marks else None
    everyone = [row for row in report["changes"] if row["axis"] == "all" and metric_named(row["metric"]).tested]
    return (
        environment(titles)
        .get_template("compare.html")
        .render(
            report=report,
            recipe=changes.config.recipe,
            gaps=gaps,
            unsaid=[row for row in gaps if row["status"] != "ok"],
            picture=picture,
            everyone=everyone,
            choices=flat(changes.config.resolved()),
        )
    )


def _marks(gaps: list[dict[str, Any]], titles: dict[str, str]) -> list[Mark]:
    """The first ``MOST_DRAWN`` of ``gaps`` that have a change between 0 and 1, those of a label and metric together."""
    drawn = [row for row in gaps if row["status"] == "ok" and metric_named(row["metric"]).limits == (0.0, 1.0)]
    by_title: dict[str, list[Mark]] = {}
    for row in drawn[:MOST_DRAWN]:
        name, note = who(row["axis"], row["stratum"], titles), f"gap was {row['old']:.2f}, is {row['new']:.2f}"
        mark = Mark(name, row["change"], row["ci_low"], row["ci_high"], note, flagged=row["verdict"] == "widened")
        by_title.setdefault(f"{row['label']}, {metric_named(row['metric']).title}", []).append(mark)
    heads = ((Mark(title, None, None, None, "", heading=True), marks) for title, marks in by_title.items())
    return [mark for head, marks in heads for mark in (head, *marks)]
