"""The JSON Schema of report.json, made from the same table layouts that the parquet files follow.

``report.schema.json`` beside this file is what ``report_schema`` returns, shipped with the package so that programs in
any language can check a report; a test keeps the two equal. ``format_version`` in a report is this schema's version: it
rises where a field changes its meaning or goes away, not where one is added. Neighbours: ``render``.
"""

from __future__ import annotations

from typing import Any

from raydino.artifacts.audit import CASE_MIX, FAIRNESS, GAPS, REFERENCES, SPREADS, STRATA
from raydino.artifacts.table import Table

FORMAT, FORMAT_VERSION = "raydino audit report", 1
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


def report_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) as JSON types."""
    tables = {name: _list(_row(table)) for name, table in TABLES.items()}
    verdicts = dict.fromkeys(("different", "equivalent", "undecided", "too_few", "undefined", "suppressed"), COUNT)
    finding = dict.fromkeys(("sentence", "axis", "stratum", "label", "metric", "direction", "who"), TEXT)
    threshold = _object({"lowest": NUMBER, "highest": NUMBER})
    properties = {
        "format": {"const": FORMAT},
        "format_version": {"const": FORMAT_VERSION},
        "use": TEXT,
        "about": {"type": "object", "additionalProperties": TEXT},
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
                "fingerprints": {"type": "object", "additionalProperties": TEXT},
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
                "libraries": {"type": "object", "additionalProperties": TEXT},
            }
        ),
    }
    title = {"title": FORMAT, "$schema": "https://json-schema.org/draft/2020-12/schema"}
    return title | _object(properties)


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
