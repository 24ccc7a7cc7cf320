from __future__ import annotations

from pathlib import Path

import pytest

import raydino
from raydino.readers.vocabulary import (
    CHEXPERT,
    FINDINGS,
    NARROWER,
    canonical,
    label_columns,
    listed,
    ordered,
    settled,
    truth,
    with_wider,
)


def test_every_word_means_one_finding() -> None:
    words = [word for name, others in FINDINGS.items() for word in (name.lower(), *others)]
    assert len(words) == len(set(words))
    assert all(word == word.lower() and canonical(word) in FINDINGS for word in words)
    assert set(NARROWER) | {name for names in NARROWER.values() for name in names} <= FINDINGS.keys()


def test_the_names_that_other_readers_rely_on() -> None:
    for name in ("No Finding", "Pneumothorax", "Rib Fracture", "Tuberculosis", "Nodule", "Support Devices", "COVID-19"):
        assert canonical(name) == name
    assert CHEXPERT[0] == "No Finding"
    assert CHEXPERT[-1] == "Support Devices"
    assert len(CHEXPERT) == 14


@pytest.mark.parametrize(
    ("word", "finding"),
    [
        ("Effusion", "Pleural Effusion"),
        ("Pleural_Thickening", "Pleural Thickening"),
        (" Pleural  effusion ", "Pleural Effusion"),
        ("No finding", "No Finding"),
        ("normal", "No Finding"),
        ("Airspace Opacity", "Lung Opacity"),
        ("Nodule/Mass", "Nodule or Mass"),
        ("Pulmonary fibrosis", "Fibrosis"),
        ("ILD", "Interstitial Lung Disease"),
        ("Enlarged PA", "Enlarged Pulmonary Artery"),
        ("Hernia, Hiatal", "Hernia"),
        ("NSG tube", "Support Devices"),
        ("Other lesion", None),
        ("", None),
    ],
)
def test_words_of_the_sources(word: str, finding: str | None) -> None:
    assert canonical(word) == finding


@pytest.mark.parametrize(
    ("cell", "policy", "value"),
    [
        ("1.0", "unknown", 1.0),
        ("0", "present", 0.0),
        ("", "present", None),
        (" ", "absent", None),
        ("-1.0", "unknown", None),
        ("-1", "present", 1.0),
        ("-1", "absent", 0.0),
    ],
)
def test_truth_with_the_policy_for_uncertain(cell: str, policy: str, value: float | None) -> None:
    assert truth(cell, policy) == value  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["2", "0.5", "yes", "nan"])
def test_no_other_cell_is_a_truth(cell: str) -> None:
    with pytest.raises(ValueError, match="neither|convert"):
        truth(cell, "unknown")


def test_columns_are_labels_facts_or_named_as_left_out() -> None:
    found, left_out = label_columns(["Path", "Effusion", "Grade"], ("Path",))
    assert found == {"Effusion": "Pleural Effusion"}
    assert left_out == {"Grade": "no finding of the vocabulary"}


def test_order_and_wider_findings() -> None:
    assert ordered({"Pneumonia", "No Finding"}) == ("No Finding", "Pneumonia")
    assert with_wider({"Rib Fracture"}) == {"Rib Fracture", "Fracture"}
    assert with_wider({"Hydropneumothorax"}) == {"Hydropneumothorax", "Pneumothorax", "Pleural Effusion"}


def test_what_a_complete_list_names_is_present_and_the_rest_absent() -> None:
    labels = ("Mass", "Nodule", "Nodule or Mass", "Pneumonia")
    assert listed(["Mass", "something else"], labels) == {
        "Mass": 1.0,
        "Nodule": 0.0,
        "Nodule or Mass": 1.0,
        "Pneumonia": 0.0,
    }
    assert listed(["Mass"], labels, complete=False)["Pneumonia"] is None


def test_no_finding_settles_what_the_labeller_left_empty() -> None:
    normal = settled({"No Finding": 1.0, "Edema": None, "Support Devices": None})
    assert normal == {"No Finding": 1.0, "Edema": 0.0, "Support Devices": None}
    ill = settled({"No Finding": None, "Edema": 1.0, "Pneumonia": None, "Support Devices": None})
    assert ill == {"No Finding": 0.0, "Edema": 1.0, "Pneumonia": None, "Support Devices": None}
    assert settled({"No Finding": None, "Edema": None, "Support Devices": 1.0})["No Finding"] is None
    assert settled({"Edema": 1.0}) == {"Edema": 1.0}


def test_the_documentation_has_every_finding_and_every_word() -> None:
    text = (Path(raydino.__file__).parents[1] / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line.lower() for line in text.splitlines() if line.startswith("| ")}
    assert list(rows)[1:] == list(FINDINGS)
    missing = [word for name, words in FINDINGS.items() for word in words if word not in rows[name]]
    assert missing == []
