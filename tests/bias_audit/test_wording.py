"""Figures and sentences as a clinician reads them."""

import pandas as pd

from bias_audit.wording import finding_sentence, interval, number, p_text, percent, summary_sentence, who

TITLES = {"sex": "Sex", "age": "Age in years", "site": "Site"}


def test_figures() -> None:
    assert number(-0.126) == "−0.13"
    assert number(float("nan")) == "–"
    assert interval(0.1, 0.256) == "0.10 to 0.26"
    assert p_text(0.00001) == "< 0.001"
    assert p_text(0.0123) == "0.012"
    assert percent(0.004) == "0.4\u00a0%"
    assert percent(0.5) == "50\u00a0%"


def test_strata_in_words() -> None:
    assert who("all", "all", TITLES) == "everyone"
    assert who("sex", "UNKNOWN", TITLES) == "sex UNKNOWN"
    assert who("sex × age", "F × 80+", TITLES) == "F × age 80+"


def test_a_finding_is_one_sentence_with_counts_and_intervals() -> None:
    gap = pd.Series(
        {
            **{"axis": "sex × site", "stratum": "F × B", "label": "Nodule", "metric": "sensitivity"},
            **{"estimate": 0.42, "rest": 0.86, "gap": -0.44, "direction": "worse"},
            **{"ci_low": -0.6, "ci_high": -0.3, "p_adjusted": 0.0002},
        }
    )
    counts = pd.Series({"ci_low": 0.3, "ci_high": 0.55, "n_images": 1200, "n_patients": 900, "n_positive": 60})
    assert finding_sentence(gap, counts, TITLES, 0.95).replace("\u00a0", " ") == (
        "Sensitivity for Nodule was 0.42 (95 % interval 0.30 to 0.55; 1,200 films of 900 patients, "
        "60 with the finding) in F × B, against 0.86 in everyone else: worse by 0.44 (gap −0.44, "
        "95 % interval −0.60 to −0.30, adjusted p < 0.001)."
    )


def test_no_flag_is_not_called_fair() -> None:
    gaps = pd.DataFrame({"status": ["ok"], "flagged": [False], "explained_by": [None]})
    assert "does not show that there is no gap" in summary_sentence(gaps, 3)
    assert "No gap could be tested" in summary_sentence(gaps.assign(status="too_few"), 3)
