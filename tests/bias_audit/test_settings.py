"""Age bands by name, and what a setting must be."""

import pytest

from bias_audit.settings import AGE_BANDS_YEARS, AuditConfig
from raydino.config import parse_config
from raydino.errors import UserError


def test_age_bands_go_by_name() -> None:
    for name, edges in AGE_BANDS_YEARS.items():
        config = parse_config({}, AuditConfig, [f"recipe.age_edges_years={name}"])
        assert config.recipe.age_edges_years == edges
    with pytest.raises(UserError, match="no age bands are called 'old'; known: default, pediatric_elderly"):
        parse_config({}, AuditConfig, ["recipe.age_edges_years=old"])


def test_a_metric_may_have_a_margin_of_its_own() -> None:
    recipe = parse_config({"recipe": {"margins": {"auroc": 0.02}}}, AuditConfig, []).recipe
    assert recipe.margin_of("auroc") == 0.02
    assert recipe.margin_of("sensitivity") == 0.05
    with pytest.raises(UserError, match="recipe.margins"):
        parse_config({"recipe": {"margins": {"auroc": 0}}}, AuditConfig, [])
