"""The small grammar of --fail-on."""

import numpy as np
import pandas as pd
import pytest

from bias_audit.conditions import audit_quantities, beyond_zero, parse_conditions, told
from raydino.errors import UserError

GAPS = pd.DataFrame(
    {
        "metric": ["auroc", "auroc", "sensitivity", "auroc"],
        "gap": [-0.2, 0.1, 0.02, np.nan],
        "ci_low": [-0.3, -0.1, 0.0, np.nan],
        "ci_high": [-0.05, 0.3, 0.04, np.nan],
        "verdict": ["different", "undecided", "equivalent", None],
        "flagged": [True, False, False, False],
        "status": ["ok", "ok", "ok", "too_few"],
    }
)


def test_quantities_of_an_audit() -> None:
    assert audit_quantities(GAPS) == {
        **{"different": 1, "equivalent": 1, "undecided": 1, "flagged": 1, "untested": 1},
        **{"gap:auroc": 0.2, "sure_gap:auroc": 0.05, "gap:sensitivity": 0.02, "sure_gap:sensitivity": 0.0},
    }
    assert beyond_zero(pd.Series([0.1, -0.3, -0.1]), pd.Series([0.3, -0.2, 0.1])).tolist() == [0.1, 0.2, 0.0]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        *(("flagged>0", True), ("flagged > 1", False), ("gap:auroc>=0.2", True), ("gap:auroc<0.2", False)),
        *(("sure_gap:auroc>0.05", False), ("undecided<=1", True), ("gap:dice>0", False), ("gap:dice<=1e9", False)),
    ],
)
def test_a_condition_holds_or_not(text: str, holds: bool) -> None:
    conditions = parse_conditions([text])
    assert conditions[0].holds(audit_quantities(GAPS)) is holds
    assert len(told(conditions, audit_quantities(GAPS))) == holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flagged", "cannot be read.*write it as flagged>0"),
        ("flaged>0", "did you mean 'flagged'"),
        ("gap>0.1", "gap needs a metric; write it as gap:auroc>0.1"),
        ("flagged:auroc>0", "is a count and takes no metric"),
        ("gap:aurok>0", "did you mean 'auroc'"),
        ("gap:auroc>1.2.3", "'1.2.3' is not a number"),
        ("gap:auroc==1", "cannot be read"),
        ("widened>0", "no quantity is called 'widened'"),
    ],
)
def test_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_conditions([text])
    assert "\n" not in str(caught.value)


def test_a_comparison_has_quantities_of_its_own() -> None:
    assert parse_conditions(["widening:auroc>0.05"], comparison=True)[0].quantity == "widening:auroc"
    with pytest.raises(UserError, match="no quantity is called 'flagged'"):
        parse_conditions(["flagged>0"], comparison=True)
