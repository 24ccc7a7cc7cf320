"""What 100 real reports say, by one reader's hand, and how far the labeller agrees.

``openi_key.csv`` names reports of Indiana University's collection and holds our own reading of each: a
finding's code and ``+`` present, ``?`` doubtful, ``-`` denied; what is not listed is not spoken of. The reports
themselves are CC BY-NC-ND and are read from ../shared/data where that is. The rules were mended on the part
``rules`` only; ``held_out`` was read before that, ``unseen`` (full of doubt, by selection) after it, and nothing
was mended since. The reader was no radiologist and also wrote the rules.

As a program, with counts by finding: ``python tests/adapters/report/test_openi_key.py``.
"""

from __future__ import annotations

import csv
import tarfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

import raydino
from adapters.report.labeller import State, read_report

ARCHIVE = Path(raydino.__file__).resolve().parents[2] / "shared/data/openi_reports_xml.tar.gz"
KEY = Path(__file__).with_name("openi_key.csv")
PARTS = ("rules", "held_out", "unseen")
CODES = {
    "EC": "enlarged cardiomediastinum", "CM": "cardiomegaly", "LO": "lung opacity", "LL": "lung lesion",
    "ED": "edema", "CO": "consolidation", "PN": "pneumonia", "AT": "atelectasis", "PX": "pneumothorax",
    "PE": "pleural effusion", "PO": "pleural other", "FR": "fracture", "SD": "support devices",
}  # fmt: skip
_MARKS = {"+": State.PRESENT, "?": State.DOUBTFUL, "-": State.ABSENT}
KINDS = {
    "mention": (State.ABSENT, State.DOUBTFUL, State.PRESENT),
    "denied": (State.ABSENT,),
    "doubtful": (State.DOUBTFUL,),
    "present": (State.PRESENT,),
}

States = dict[str, State]


def read_key(part: str) -> dict[str, States]:
    """The hand's reading of each report of ``part``, every code named."""
    with KEY.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == part]
    silent = dict.fromkeys(CODES, State.SILENT)
    return {row["report"]: silent | {item[:2]: _MARKS[item[2]] for item in row["states"].split()} for row in rows}


def read_texts(wanted: set[str], archive: Path = ARCHIVE) -> dict[str, str]:
    """Findings and impression of the reports of ``wanted``."""
    texts = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if f"CXR{Path(member.name).stem}" in wanted and (file := tar.extractfile(member)):
                found = {e.get("Label"): e.text or "" for e in ET.parse(file).getroot().iter("AbstractText")}
                texts[f"CXR{Path(member.name).stem}"] = f"{found.get('FINDINGS', '')}\n\n{found.get('IMPRESSION', '')}"
    return texts


def read_by_labeller(text: str) -> States:
    """The labeller's reading by code."""
    states = read_report(text)
    return {code: states[name] for code, name in CODES.items()}


def counts(key: dict[str, States], read: dict[str, States], kind: str) -> dict[str, Counter[str]]:
    """By code: true and false positives and false negatives of ``kind``."""
    table = {code: Counter[str]() for code in CODES}
    for report, states in key.items():
        for code, state in states.items():
            wanted, found = state in KINDS[kind], read[report][code] in KINDS[kind]
            table[code]["tp"] += wanted and found
            table[code]["fp"] += found and not wanted
            table[code]["fn"] += wanted and not found
    return table


def f1(count: Counter[str]) -> float:
    return 2 * count["tp"] / max(1, 2 * count["tp"] + count["fp"] + count["fn"])


def read_part(part: str) -> tuple[dict[str, States], dict[str, States]]:
    """The hand's and the labeller's reading."""
    key = read_key(part)
    texts = read_texts(set(key))
    return key, {report: read_by_labeller(text) for report, text in texts.items()}


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the reports of shared/data are not here")
@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("held_out", {"mention": 0.98, "denied": 0.98, "present": 0.94, "doubtful": 0.85}),
        ("unseen", {"mention": 0.96, "denied": 0.97, "present": 0.9, "doubtful": 0.9}),
    ],
)
def test_the_labeller_reads_real_reports_as_the_hand_did(part: str, wanted: dict[str, float]) -> None:
    key, read = read_part(part)
    assert sum(state > State.SILENT for states in key.values() for state in states.values()) > 120
    for kind, least in wanted.items():
        assert f1(sum(counts(key, read, kind).values(), Counter())) > least, kind


def test_the_parts_of_the_key_share_no_report() -> None:
    parts = [read_key(part) for part in PARTS]
    assert [len(part) for part in parts] == [39, 39, 22]
    assert len({report for part in parts for report in part}) == 100


def _shown(count: Counter[str]) -> str:
    precision = count["tp"] / max(1, count["tp"] + count["fp"])
    recall = count["tp"] / max(1, count["tp"] + count["fn"])
    return f"n={count['tp'] + count['fn']:3d} precision={precision:.3f} recall={recall:.3f} F1={f1(count):.3f}"


def main() -> None:
    for part in PARTS:
        key, read = read_part(part)
        print(
            f"\n{part}: {len(key)} reports, {sum(s > 0 for states in key.values() for s in states.values())} statements"
        )
        for kind in KINDS:
            table = counts(key, read, kind)
            print(f"  {kind:9s} all {_shown(sum(table.values(), Counter()))}")
            for code, count in table.items():
                if sum(count.values()):
                    print(f"      {CODES[code]:27s} {_shown(count)}")


if __name__ == "__main__":
    main()
