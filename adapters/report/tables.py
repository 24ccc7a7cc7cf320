"""The figures of reports in the terminal: by label as of every adapter, then the texts against the references."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from adapters.report.agreement import FOURTEEN
from adapters.report.metrics.corpus import FIGURES
from adapters.tables import print_metrics

_CLINICAL = tuple(f"{mean}_f1_{size}" for mean in ("micro", "macro") for size in ("14", "5"))


def print_report_metrics(metrics: dict[str, Any], *, title: str) -> None:
    """A table by label, one of text metrics and clinical F1 and one of F1 by finding, against the references."""
    overall: dict[str, float | None] = metrics["overall"]
    by_label = {name for row in metrics["per_label"].values() for name in row} or {"f1"}
    print_metrics({**metrics, "overall": {k: v for k, v in overall.items() if k in by_label}}, title=title)
    console = Console()
    texts = Table(title=f"against {overall.get('n_references', 0)} reference reports")
    for column in ("figure", "value", "95 % over patients"):
        texts.add_column(column, justify="left" if column == "figure" else "right")
    for name in FIGURES:
        low, high = overall.get(f"{name}_low"), overall.get(f"{name}_high")
        interval = "" if low is None or high is None else f"{low:.3f}–{high:.3f}"
        texts.add_row(name, _shown(overall.get(name)), interval)
    for name in _CLINICAL:
        doubt = _shown(overall.get(f"{name}_present_or_doubtful")), _shown(overall.get(f"{name}_present"))
        texts.add_row(f"{name}, doubtful counts / does not", " / ".join(doubt), "")
    console.print(texts)
    findings = Table("finding", "F1", title="F1 by finding, draft against reference")
    for name in FOURTEEN:
        if overall.get(f"f1_to_reference_{name}") is not None:
            findings.add_row(name, _shown(overall[f"f1_to_reference_{name}"]))
    console.print(findings)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
