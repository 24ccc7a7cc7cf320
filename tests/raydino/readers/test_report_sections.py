from __future__ import annotations

from raydino.readers.report_sections import findings_and_impression

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with new onset ascites  // eval for infection

 TECHNIQUE:  Chest PA and lateral

 COMPARISON:  None.

 FINDINGS:

 There is no focal consolidation,
 pleural effusion or pneumothorax.  Note: bones are intact.

 The heart is normal.

 IMPRESSION:

 No acute cardiopulmonary process.
"""


def test_findings_and_impression_only() -> None:
    assert findings_and_impression(REPORT) == (
        "There is no focal consolidation, pleural effusion or pneumothorax. Note: bones are intact.\n\n"
        "The heart is normal.\n\nNo acute cardiopulmonary process."
    )


def test_headings_that_join_both_and_conclusions() -> None:
    assert findings_and_impression("HISTORY: pain\nFINDINGS AND IMPRESSION: Clear lungs.") == "Clear lungs."
    assert findings_and_impression("CONCLUSION: Normal.\nRECOMMENDATION(S): none") == "Normal."


def test_without_headings_the_whole_text() -> None:
    assert findings_and_impression("Clear\nlungs.") == "Clear lungs."
    assert findings_and_impression("WET READ: no change") == "WET READ: no change"
    assert findings_and_impression("FINDINGS:\n\nIMPRESSION:\n") is None
    assert findings_and_impression(" \n") is None
