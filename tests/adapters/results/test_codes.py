"""Labels become codes that a DICOM file may hold; what has no code keeps its own words."""

import pytest

from adapters.results.codes import finding_code, private_code, structure_code, unit_code


@pytest.mark.parametrize(
    ("structure", "value"),
    [("lungs", "39607008"), ("left_lung", "44029006"), ("Right Lung", "3341006"), ("heart", "80891009")],
)
def test_structures_are_anatomy(structure: str, value: str) -> None:
    assert (structure_code(structure).value, structure_code(structure).scheme_designator) == (value, "SCT")


def test_findings_by_any_data_set_s_name() -> None:
    assert finding_code("Effusion") == finding_code("pleural_effusion")
    assert finding_code("Consolidation").scheme_designator == "RADLEX"
    assert finding_code("Support Devices").scheme_designator == "99RAYDINO"


@pytest.mark.parametrize("words", ["Lung Opacity", "a" * 200, "脊柱側弯症", "?!", "Pleural Other, and much more"])
def test_private_codes_fit_their_fields(words: str) -> None:
    code = private_code(words)
    assert 0 < len(code.value) <= 16
    assert code.value.isascii()
    assert code.meaning == words[:64]
    assert private_code(words + "x").value != code.value


def test_units() -> None:
    assert [unit_code(name).value for name in ("age_years", "cardiothoracic_ratio", "x")] == ["a", "{ratio}", "1"]
