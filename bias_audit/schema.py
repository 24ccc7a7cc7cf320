"""The JSON Schemas of the four report.json, made from the same table layouts that the parquet files follow.

``report.schema.json`` (an audit), ``compare.schema.json``, ``encoder.schema.json`` and ``mitigate.schema.json`` beside
this file are what ``SCHEMAS`` makes, shipped with the package so that programs in any language can check a report; a
test keeps them equal, ``python -m bias_audit.schema`` writes them. ``format_version`` in a report is its schema's
version: it rises where a field changes its meaning or goes away, not where one is added. Neighbours: ``render``,
``compare_page``, ``encoder_run``, ``mitigation_run`` (which write the reports).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raydino.artifacts.audit import (
    CASE_MIX,
    CHANGES,
    DISTANCES,
    FAIRNESS,
    GAP_CHANGES,
    GAPS,
    MITIGATED,
    MITIGATED_GAPS,
    PROBES,
    REFERENCES,
    SPREADS,
    STRATA,
    TREATMENTS,
)
from raydino.artifacts.table import Table

FORMATS = {  # the report.json of each command: its format and format_version
    "report": ("raydino audit report", 1),
    "compare": ("raydino audit comparison", 1),
    "encoder": ("raydino encoder audit", 1),
    "mitigate": ("raydino audit mitigation", 1),
}
TABLES = {
    "strata": STRATA,
    "gaps": GAPS,
    "references": REFERENCES,
    "spreads": SPREADS,
    "case_mix": CASE_MIX,
    "fairness": FAIRNESS,
}
_JSON = {"string": "string", "int": "integer", "float": "number", "bool": "boolean"}
TEXT, COUNT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "number"}
TEXTS = {"type": "object", "additionalProperties": TEXT}  # names are free: labels, files, libraries


def report_schema() -> dict[str, Any]:
    """Of ``raydino audit``, as JSON types."""
    tables = {name: _list(_row(table)) for name, table in TABLES.items()}
    verdicts = dict.fromkeys(("different", "equivalent", "undecided", "too_few", "undefined", "suppressed"), COUNT)
    finding = dict.fromkeys(("sentence", "axis", "stratum", "label", "metric", "direction", "who"), TEXT)
    threshold = _object({"lowest": NUMBER, "highest": NUMBER})
    properties = {
        "about": TEXTS,
        "summary": TEXT,
        "sureness": TEXT,
        "findings": _list(_object(finding | {"gap": NUMBER, "explained_by": _or_null(TEXT)})),
        "input": _object(
            {
                "source": TEXT,
                "task": TEXT,
                "splits": _list(TEXT),
                "films": COUNT,
                "patients": COUNT,
                "labels": _list(TEXT),
                "thresholds": {"type": "object", "additionalProperties": threshold},
                "fingerprints": TEXTS,
                "notes": _list(TEXT),
            }
        ),
        "cohort": _list(
            _object(
                {"axis": TEXT, "stratum": TEXT}
                | {name: _or_null(COUNT) for name in ("n_images", "n_patients")}
                | {"share": _or_null(NUMBER)}
            )
        ),
        "splits": _list(
            _object(
                dict.fromkeys(("axis", "stratum", "split"), TEXT) | dict.fromkeys(("n_images", "n_patients"), COUNT)
            )
        ),
        "missing": _list(_object({"axis": TEXT, "n_images": _or_null(COUNT), "share": _or_null(NUMBER)})),
        "verdicts": _object(verdicts),
        "cannot_be_said": _list(
            _object({"axis": TEXT, "ok": COUNT, **verdicts, "reasons": _list(_object({"reason": TEXT, "gaps": COUNT}))})
        ),
        "detectable": _list(
            _object(
                {"axis": TEXT, "metric": TEXT, "gaps": COUNT} | dict.fromkeys(("median", "smallest", "largest"), NUMBER)
            )
        ),
        "worst": _list(_row(SPREADS)),
        **tables,
        "methods": _object(
            {
                "settings": {"type": "object"},
                "seed": {"type": "integer"},
                "producer": TEXT,
                "libraries": TEXTS,
            }
        ),
    }
    return _report("report", properties)


def compare_schema() -> dict[str, Any]:
    """Of ``raydino audit compare``."""
    properties = {
        "summary": TEXT,
        "paired": TEXT,
        "old": _SOURCE,
        "new": _SOURCE,
        "shared_patients": COUNT,
        "shared_films": COUNT,
        "quantities": {"type": "object", "additionalProperties": NUMBER},  # what --fail-on asks
        "gap_changes": _list(_row(GAP_CHANGES)),
        "changes": _list(_row(CHANGES)),
        "methods": _object({"settings": {"type": "object"}, "producer": TEXT}),
    }
    return _report("compare", properties)


def encoder_schema() -> dict[str, Any]:
    """Of ``raydino audit encoder``."""
    properties = {
        "summary": TEXT,
        "source": TEXT,
        "films": COUNT,
        "patients": COUNT,
        "shares": _list(NUMBER),  # of the variance, by component
        "probes": _list(_row(PROBES)),
        "distances": _list(_row(DISTANCES)),
        "methods": _object({"settings": {"type": "object"}, "producer": TEXT, "fingerprints": TEXTS}),
    }
    return _report("encoder", properties)


def mitigate_schema() -> dict[str, Any]:
    """Of ``raydino audit mitigate``."""
    counts = dict.fromkeys(("judged", "narrowed", "widened", "worse_for_everyone"), COUNT)
    properties = {
        "warning": TEXT,
        "by": _list(TEXT),
        "val": _SOURCE,
        "test": _SOURCE,
        "methods": _list(_object(dict.fromkeys(("method", "meaning", "summary"), TEXT) | counts)),
        "treatments": _list(_row(TREATMENTS)),
        "gap_changes": _list(_row(MITIGATED_GAPS)),
        "changes": _list(_row(MITIGATED)),
        "settings": {"type": "object"},
        "producer": TEXT,
    }
    return _report("mitigate", properties)


def _report(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A schema (draft 2020-12) with what every report has."""
    name, version = FORMATS[kind]
    title = {"title": name, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    every = {"format": {"const": name}, "format_version": {"const": version}, "use": TEXT}
    return title | _object(every | properties)


def _row(table: Table) -> dict[str, Any]:
    """A row of a parquet table; where a figure does not exist it is null."""
    columns = {c.name: {"type": _JSON[c.kind]} for c in table.columns}
    return _object({c.name: _or_null(columns[c.name]) if c.nullable else columns[c.name] for c in table.columns})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


_SOURCE = _object({"source": TEXT, "films": COUNT, "patients": COUNT, "fingerprints": TEXTS, "notes": _list(TEXT)})
SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "report": report_schema,
    "compare": compare_schema,
    "encoder": encoder_schema,
    "mitigate": mitigate_schema,
}


def schema_path(kind: str) -> Path:
    """Where the schema of a kind of report (a key of ``SCHEMAS``) is shipped."""
    return Path(__file__).with_name(f"{kind}.schema.json")


def as_text(kind: str) -> str:
    """The schema of a kind as it is shipped."""
    return json.dumps(SCHEMAS[kind](), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    for one in SCHEMAS:
        schema_path(one).write_text(as_text(one), encoding="utf-8")
