"""Reports must say what is true, no more: checked with patterns written apart from the wordings."""

from __future__ import annotations

import re

import numpy as np
import pytest

from raydino.phantom.findings import (
    CARDIOMEGALY,
    CONSOLIDATION,
    EFFUSION,
    FINDINGS,
    NODULE,
    PNEUMOTHORAX,
    Effusion,
    Findings,
    sample_findings,
)
from raydino.phantom.layout import LEFT, RIGHT
from raydino.phantom.report_text import report_text

MENTION = {
    CARDIOMEGALY: r"cardiomegaly|heart is enlarged|enlargement of the heart|silhouette is enlarged",
    EFFUSION: r"effusion|pleural fluid",
    PNEUMOTHORAX: r"pneumothorax",
    CONSOLIDATION: r"consolidation|airspace opacity|patchy opacity",
    NODULE: r"nodule",
}


def affirmed(text: str) -> set[str]:
    """Findings that some sentence mentions without denying them."""
    found = set()
    for sentence in re.split(r"(?<=\.)\s", text.lower()):
        if re.search(r"\bno\b|\bnot\b", sentence):
            continue
        found |= {name for name, pattern in MENTION.items() if re.search(pattern, sentence)}
    return found


CASES = [sample_findings(np.random.default_rng([7, seed]), 0.43) for seed in range(800)]


def test_a_report_affirms_exactly_what_is_present() -> None:
    for seed, findings in enumerate(CASES):
        text = report_text(np.random.default_rng(seed), findings, "PA")
        assert affirmed(text) == {name for name in FINDINGS if findings.present()[name]}, text


def test_a_report_never_denies_what_is_present() -> None:
    for seed, findings in enumerate(CASES):
        text = report_text(np.random.default_rng(seed), findings, "PA").lower()
        present = findings.present()
        denials = " ".join(s for s in re.split(r"(?<=\.)\s", text) if re.search(r"\bno\b|\bnot\b", s))
        for name in FINDINGS:
            if present[name]:
                assert not re.search(MENTION[name], denials), text
        if any(present[name] for name in (EFFUSION, PNEUMOTHORAX, CONSOLIDATION, NODULE)):
            assert "lungs are clear" not in text
        if present[EFFUSION]:
            assert "angles are clear" not in text
            assert "angles are sharp" not in text
        if any(present[name] for name in FINDINGS):
            assert "unremarkable examination" not in text
            assert "normal chest" not in text


@pytest.mark.parametrize(("side", "word", "other"), [(RIGHT, "right", "left"), (LEFT, "left", "right")])
def test_sides_are_named_rightly(side: int, word: str, other: str) -> None:
    findings = Findings(0.43, effusions=(Effusion(side, 100.0),))
    for seed in range(60):
        text = report_text(np.random.default_rng(seed), findings, "AP").lower()
        assert word in text
        assert other not in text


def test_sides_agree_with_the_truth_in_every_single_sided_report() -> None:
    for seed, findings in enumerate(CASES):
        parts = (*findings.effusions, *findings.consolidations, *findings.nodules)
        sides = {part.side for part in parts} | ({findings.pneumothorax.side} if findings.pneumothorax else set())
        text = report_text(np.random.default_rng(seed), findings, "PA").lower()
        if sides in ({RIGHT}, {LEFT}):
            assert ("right" in text) == (RIGHT in sides), text
            assert ("left" in text) == (LEFT in sides), text


def test_the_same_findings_are_worded_in_many_ways() -> None:
    findings = Findings(0.43, effusions=(Effusion(LEFT, 100.0),))
    assert len({report_text(np.random.default_rng(seed), findings, "PA") for seed in range(50)}) > 40


def test_reports_are_sentences() -> None:
    for seed, findings in enumerate(CASES):
        text = report_text(np.random.default_rng(seed), findings, "PA")
        assert re.fullmatch(r"[A-Z].*\.", text)
        assert "  " not in text
        assert "{" not in text
