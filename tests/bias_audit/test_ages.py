"""Ages as people write them."""

import pytest

from bias_audit.ages import age_in_years


@pytest.mark.parametrize(
    ("text", "years"),
    [("045Y", 45.0), ("45y", 45.0), ("006M", 0.5), ("052W", 0.9965777), ("010D", 10 / 365.25), (" 7Y ", 7.0)],
)
def test_ages_with_a_unit(text: str, years: float) -> None:
    assert age_in_years(text) == pytest.approx(years)


@pytest.mark.parametrize("text", ["45", "45.0", "", "Y", "045X", "4567Y", "4 5Y", "-4Y"])
def test_everything_else_is_left_to_others(text: str) -> None:
    assert age_in_years(text) is None
