from __future__ import annotations

import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

import raydino
from raydino.dicom.scrub import scrub

OPENI = Path(raydino.__file__).parents[2] / "shared" / "data" / "openi_reports_xml.tar.gz"
HEADER = ("Müller^Zebulon^Jean-Luc", "MRN-8675309", "19560229", "Wyvernshire Infirmary", "12 Nowhere Lane")


@pytest.mark.parametrize(
    "text",
    [
        "T1, T12-L1 and C6; stage 2; grade 2/6 murmur; ICD and NG tube in place.",
        "A 5 mm nodule, 2.5 x 3.1 cm mass, 3 cm above the carina. Cardiothoracic ratio 0.55.",
        "Kerley B lines. Hampton hump. Westermark sign. Swan-Ganz catheter. Ghon complex, Gram stain.",
        "There may 2 nodules. Effusions march 3 ribs down. 5 mm mar. Ribs 3-5-7.",
        "EXAM: 2 VIEWS OF THE CHEST. RIGHT T4 5TH RIB. DR Chest. MR imaging. MS and RN noted.",
        "45-year-old woman, 89 yo man. Compared with CT of 2015 and 1998.",
        "120 kVp, 1,200,000 counts, WBC 12000, SpO2 95%, 98 F. 1/2 of the lung.",
        "Transferred from an outside hospital. The hospital course was smooth.",
        "No change from prior. Nurse was informed; the doctor agreed.",
    ],
)
def test_findings_stay(text: str) -> None:
    assert scrub(text, HEADER) == text


@pytest.mark.parametrize(
    "date",
    [
        *("1956-02-29", "29.02.1956", "29/02/56", "02/29/1956", "2-29-1956", "1956/02/29", "02/1956", "19560229"),
        *(
            "Feb 29, 1956",
            "February 29th, 1956",
            "29 February 1956",
            "29th of February 1956",
            "29-Feb-1956",
            "Feb 1956",
        ),
        *(
            "29. Februar 1956",
            "29 février 1956",
            "29 de febrero de 1956",
            "29 febbraio 1956",
            "29 de fevereiro de 1956",
        ),
        *("May 12", "12 May", "17:42", "5:30 PM", "17:42:33"),
    ],
)
def test_dates_and_times_go(date: str) -> None:
    assert scrub(f"Seen {date}; no effusion.") == "Seen ___; no effusion."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("on 3/12 and at 1742 hours", "on ___ and at ___ hours"),
        ("MRN: 12345.", "___."),
        ("Accession # A123456", "___"),
        ("case #44512 of 7", "___ of 7"),
        ("call (317) 555-0199 or 555-0199", "call ___ or ___"),
        ("+49 89 4140-0", "___"),
        ("SSN 123-45-6789", "SSN ___"),
        ("write to j.doe@hospital.org, see https://pacs.example/x?id=1", "write to ___, see ___"),
        ("UID 1.2.840.113619.2.5.1762583153", "UID ___"),
        ("ID A0012302", "ID ___"),
        ("93-year-old, aged 95, 101 y/o, 94F; age: 99.", "90+-year-old, aged 90+, 90+ y/o, 90+F; age: 90+."),
        ("91-jährige Patientin", "90+-jährige Patientin"),
        ("Findings told to Dr. John Smith by phone", "Findings told to Dr. ___ by phone"),
        ("DR. SMITH AT bedside", "DR. ___ AT bedside"),
        ("DR. VAN DER BERG WAS TOLD", "DR. ___ WAS TOLD"),
        ("Dr. José Small, Dr. Łukasiewicz", "Dr. ___, Dr. ___"),
        ("Prof. Dr. med. van der Berg", "Prof. Dr. med. ___"),
        ("Mrs. White is well", "Mrs. ___ is well"),
        ("Electronically signed by: Jane van der Berg, MD", "Electronically signed by: ___, MD"),
        ("Jane Q. Public, M.D. agrees", "___, M.D. agrees"),
        ("At Northgate Hospital", "At ___ Hospital"),
        ("Klinikum Großhadern", "Klinikum ___"),
        ("lives at 12 Elm Street, Springfield, IL 62704", "lives at ___, Springfield, ___"),
        ("Ismaninger Straße 22, SW1A 1AA", "___"),
    ],
)
def test_what_rules_find(text: str, left: str) -> None:
    assert scrub(text) == left


@pytest.mark.parametrize(
    "name",
    [
        *("Zebulon Müller", "Müller, Zebulon", "MUELLER ZEBULON", "müller", "Muller", "Zebulon", "ZEBULONMÜLLER"),
        *("Zebulon Jean-Luc Müller", "Mu\u0308ller", "Müllers", "8675309", "MRN-8675309", "MRN8675309", "0008675309"),
        *("Wyvernshire", "WYVERNSHIRE INFIRMARY", "12 Nowhere Lane", "Nowhere"),
    ],
)
def test_the_films_own_identifiers_go(name: str) -> None:
    assert scrub(f"Known to us as {name}: clear lungs.", HEADER) == "Known to us as ___: clear lungs."


def test_a_name_that_is_a_common_word_goes_as_a_whole_or_within_a_sentence() -> None:
    names = ("Small^Rose", "Chest Clinic", "Rescaled from original data")
    text = "Small effusion, no change from original. Rose Small is well. Mr. Small of the Chest Clinic. Told Rose."
    left = "Small effusion, no change from original. ___ is well. Mr. ___ of the ___. Told ___."
    assert scrub(text, names) == left


def test_two_letters_are_no_name_on_their_own() -> None:
    assert scrub("Li, Wu: PA film, li wu", ("Li^Wu", "PA")) == "___: PA film, ___"
    assert scrub("Told Li of it. Li is a PA. The li film", ("Li^Wu",)) == "Told ___ of it. Li is a PA. The li film"


def test_ideographs_have_no_word_edges() -> None:
    assert scrub("患者山田太郎の胸部", ("Yamada^Tarou=山田^太郎=やまだ^たろう",)) == "患者___の胸部"


def test_layout_stays_and_twice_is_once() -> None:
    text = "FINDINGS:\n  Clear.\n\nDr. John Smith,  MRN 12345\n"
    once = scrub(text, HEADER)
    assert once == "FINDINGS:\n  Clear.\n\nDr. ___\n"
    assert scrub(once, HEADER) == once
    assert scrub("", HEADER) == ""


def test_identifiers_are_no_patterns() -> None:
    assert scrub("a (b", ("(((", "a.*", "\\", "")) == "a (b"


@pytest.mark.skipif(not OPENI.is_file(), reason="the reports of shared/data are not here")
def test_real_reports_without_identifiers_hardly_change() -> None:
    with tarfile.open(OPENI) as tar:
        files = [tar.extractfile(member) for member in tar if member.name.endswith(".xml")]
        trees = [ElementTree.parse(file) for file in files if file is not None]
    texts = ["\n".join(part.text or "" for part in tree.iter("AbstractText")) for tree in trees]
    changed = [text for text in texts if scrub(text) != text]
    assert len(texts) == 3955
    assert len(changed) <= 12  # all but one are names after a title, which the publishers had blanked as XXXX
    assert sum("Dr. XXXX" in text for text in changed) >= len(changed) - 1
