import pytest

from adapters.report.contradictions import Finding, contradictions, flagged
from adapters.report.labeller import State

PRESENT, ABSENT, UNDECIDED = Finding(0.9, 0.5), Finding(0.2, 0.5), Finding(0.9, None)
TEXT = "The heart is normal in size. Small left effusion.\nPossible pneumonia. No pneumothorax."


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ({"Cardiomegaly": PRESENT}, [("The heart is normal in size.", "Cardiomegaly", State.ABSENT)]),
        ({"Effusion": ABSENT}, [("Small left effusion.", "Effusion", State.PRESENT)]),
        ({"Cardiomegaly": ABSENT, "Effusion": PRESENT, "Pneumothorax": ABSENT}, []),
        ({"Pneumonia": ABSENT}, []),  # doubt contradicts nothing
        ({"Pneumonia": PRESENT}, []),
        ({"Fracture": PRESENT}, []),  # not spoken of
        ({"Effusion": UNDECIDED, "Tuberculosis": PRESENT, "No Finding": PRESENT}, []),
        ({}, []),
    ],
)
def test_which_sentences_are_flagged(findings: dict[str, Finding], expected: list[tuple[str, str, State]]) -> None:
    assert [(c.sentence, c.label, c.said) for c in contradictions(TEXT, findings)] == expected


def test_reasons_and_the_threshold_itself_is_present() -> None:
    at_threshold = Finding(0.5, 0.5)
    found = contradictions("No effusion. No effusion.", {"Effusion": at_threshold})
    assert (
        flagged(found).splitlines()
        == ["No effusion. (the text calls Effusion absent; the classifier gives 0.50, at or above its threshold 0.50)"]
        * 2
    )
    assert flagged(contradictions("", {"Effusion": PRESENT})) == ""
