"""report.json follows the schema that is shipped, and the schema is the one that the code makes."""

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

SHIPPED = Path(schema.__file__).with_name("report.schema.json")


def test_the_shipped_schema_is_the_one_that_the_code_makes() -> None:
    made = json.dumps(schema.report_schema(), indent=2, sort_keys=True) + "\n"
    assert SHIPPED.read_text(encoding="utf-8") == made, "write schema.report_schema() to bias_audit/report.schema.json"
    jsonschema.Draft202012Validator.check_schema(schema.report_schema())


@pytest.mark.parametrize("suppress_below", [0, 30])
def test_a_report_follows_it(cohort: pd.DataFrame, suppress_below: int) -> None:
    table = table_of(cohort[cohort["label"].isin(["No Finding", "Pleural Effusion"])], "p.csv")
    axes = choose_axes(["sex", "age"], table.groups, (18, 40, 60, 80), skip_absent=False)
    recipe = Recipe(bootstraps=100, suppress_below=suppress_below, reference={"sex": "M"}, case_mix=("view",))
    report = report_values(audit(table, axes, AuditConfig(recipe=recipe)))
    report = json.loads(json.dumps(report, allow_nan=False))
    validator = jsonschema.Draft202012Validator(json.loads(SHIPPED.read_text(encoding="utf-8")))
    faults = [f"{list(one.absolute_path)}: {one.message}" for one in validator.iter_errors(report)]
    assert faults == []
    assert report["case_mix"]
    assert report["references"]
    broken = report | {"verdicts": report["verdicts"] | {"different": "many"}}
    assert not validator.is_valid(broken)
    assert not validator.is_valid({key: value for key, value in report.items() if key != "format_version"})
