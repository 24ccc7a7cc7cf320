import pytest

from adapters.report.sections import Section, chosen_text, split_sections, without_headings

HEADED = "HISTORY: Cough.\nFINDINGS: Lungs: clear.\nHeart: normal.\nIMPRESSION: No acute disease.\nRECOMMENDATION: none"
FLOWING = "Lungs are clear.\n\nHeart is normal.\n\nNo acute disease."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADED, {"findings": "Lungs: clear. Heart: normal.", "impression": "No acute disease."}),
        (FLOWING, {"findings": "Lungs are clear. Heart is normal.", "impression": "No acute disease."}),
        ("Lungs are\nclear.", {"findings": "Lungs are clear."}),
        ("Impression: Normal chest.", {"impression": "Normal chest."}),
        ("CONCLUSION:\nNormal chest.\n\nStable.", {"impression": "Normal chest. Stable."}),
        ("FINDINGS AND IMPRESSION: Clear.", {"findings": "Clear."}),
        ("FINDINGS: \nIMPRESSION: Clear.", {"impression": "Clear."}),
        ("  ", {}),
    ],
)
def test_headings_count_and_else_paragraphs(text: str, expected: dict[Section, str]) -> None:
    assert split_sections(text) == expected


def test_what_is_learnt_of_a_report() -> None:
    both: tuple[Section, ...] = ("findings", "impression")
    assert chosen_text(FLOWING, "all") == FLOWING
    assert chosen_text(None, both) is None
    assert chosen_text(FLOWING, ("impression",)) == "No acute disease."
    assert chosen_text("Impression: Normal.", ("findings",)) is None
    headed = chosen_text(FLOWING, both)
    assert headed == "Findings: Lungs are clear. Heart is normal.\n\nImpression: No acute disease."
    assert chosen_text(headed, both) == headed
    assert without_headings(headed) == "Lungs are clear. Heart is normal.\n\nNo acute disease."
    assert chosen_text("Impression: Normal.", both) == "Impression: Normal."
