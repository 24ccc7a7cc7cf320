"""Each report.json follows the schema that is shipped, and the schema is the one that the code makes."""

import json
from pathlib import Path

import jsonschema
import pandas as pd
import pytest

from bias_audit import schema
from bias_audit.audit import audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.render import report_values
from bias_audit.settings import AuditConfig, Recipe


@pytest.mark.parametrize("kind", schema.SCHEMAS)
def test_the_shipped_schema_is_the_one_that_the_code_makes(kind: str) -> None:
    shipped = schema.schema_path(kind).read_text(encoding="utf-8")
    assert shipped == schema.as_text(kind), "run python -m bias_audit.schema"
    jsonschema.Draft202012Validator.check_schema(json.loads(shipped))


@pytest.mark.parametrize("kind", schema.SCHEMAS)
def test_what_a_command_writes_follows_its_schema(audits: dict[str, Path], kind: str) -> None:
    report = json.loads((audits[kind] / "report.json").read_text(encoding="utf-8"))
    assert faults_of(report, kind) == []
    assert faults_of(report | {"format_version": 99}, kind)
    assert faults_of(report | {"more": 1}, kind)
    assert faults_of({name: value for name, value in report.items() if name != "use"}, kind)


def faults_of(report: dict, kind: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(json.loads(schema.schema_path(kind).read_text(encoding="utf-8")))
    return [f"{list(one.absolute_path)}: {one.message}" for one in validator.iter_errors(report)]


@pytest.mark.parametrize("suppress_below", [0, 30])
def test_a_report_follows_it(cohort: pd.DataFrame, suppress_below: int) -> None:
    table = table_of(cohort[cohort["label"].isin(["No Finding", "Pleural Effusion"])], "p.csv")
    axes = choose_axes(["sex", "age"], table.groups, (18, 40, 60, 80), skip_absent=False)
    recipe = Recipe(bootstraps=100, suppress_below=suppress_below, reference={"sex": "M"}, case_mix=("view",))
    report = report_values(audit(table, axes, AuditConfig(recipe=recipe)))
    report = json.loads(json.dumps(report, allow_nan=False))
    assert faults_of(report, "report") == []
    assert report["case_mix"]
    assert report["references"]
    broken = report | {"verdicts": report["verdicts"] | {"different": "many"}}
    assert faults_of(broken, "report")
