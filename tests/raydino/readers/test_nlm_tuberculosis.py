from __future__ import annotations

import pytest

from raydino.readers.nlm_tuberculosis import Reading, parse_reading


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Patient's Sex: F \nPatient's Age: 027Y\nnormal\n", Reading("F", 27, "normal")),
        (
            "Patient's Sex: M\r\nPatient's Age: 008M\r\nUpper  lobe\r\ninfiltrate.",
            Reading("M", 0.67, "Upper lobe infiltrate."),
        ),
        ("Patient's Sex: O\nPatient's Age: 104Y\n", Reading("O", 104, None)),
        ("male 45yrs\nnormal", Reading("M", 45, "normal")),
        ("female 28yrs\nSTB", Reading("F", 28, "STB")),
        (
            "Female, 24yrs\n1. bilateral PTB; 2. right pleuritis",
            Reading("F", 24, "1. bilateral PTB; 2. right pleuritis"),
        ),
        ("male 16month\nnormal", Reading("M", 1.33, "normal")),
        ("female 64days\nnormal", Reading("F", 0.18, "normal")),
        ("femal 32yrs\nnormal", Reading("F", 32, "normal")),
        ("male45yrs\nnormal", Reading("M", 45, "normal")),
        ("\nPTB of a male 45yrs old", Reading(None, None, "PTB of a male 45yrs old")),
        ("normal 3 months later", Reading(None, None, "normal 3 months later")),
        ("malignancy? 5 days", Reading(None, None, "malignancy? 5 days")),
        ("", Reading(None, None, None)),
    ],
)
def test_readings(content: str, expected: Reading) -> None:
    assert parse_reading(content) == expected
