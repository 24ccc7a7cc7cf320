"""What does the scrubber find in real reports, and what does it take that it should leave?

    .venv/bin/python benchmarks/scrub.py ../shared/data/openi_reports_xml.tar.gz [--quick] [--seed 0]

The 3,955 reports of the Indiana University collection (Demner-Fushman 2016) were de-identified by their
publishers, so scrubbing should change next to nothing. Then one sentence with one identifier is planted in
each, of a kind and in a format that are drawn at random, and counted as found where nothing of it is left.
Peer: exact replacement of the header's values, as they stand, which is what a header can do without rules.
Kinds marked "no sign" hold nothing that a rule could go by: they are measured because they leak.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import sys
import tarfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raydino.dicom.scrub import scrub

FIRST = ("Zebulon", "Anneliese", "José", "Oluwaseun", "Maria", "Jean-Luc", "Wei", "Rose", "Fatima", "Björn")
LAST = ("Quixotewitz", "Müller", "O'Brien", "Young", "Nguyen", "van der Berg", "Small", "García", "Łukasiewicz", "Li")
PLACES = ("Northgate", "Wyvernshire", "Lakeside", "St. Mary", "Großhadern")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "Sept", "Oct", "Nov", "Dec")


def sentences(rng: random.Random) -> tuple[str, str, str, tuple[str, ...]]:
    """A kind of identifier, a sentence that holds one, the identifier in it, and the header of the film."""
    first, last, place = rng.choice(FIRST), rng.choice(LAST), rng.choice(PLACES)
    other, surname = rng.choice([n for n in FIRST if n != first]), rng.choice([n for n in LAST if n != last])
    number, year, month, day = (
        rng.randrange(10**6, 10**7),
        rng.randrange(1930, 2025),
        rng.randrange(12),
        rng.randrange(13, 29),
    )
    header = (f"{last}^{first}", f"{number}", f"{place} Infirmary")
    m, name = month + 1, MONTHS[month]
    dates = (
        f"{m}/{day}/{year}",
        f"{day:02d}.{m:02d}.{year}",
        f"{year}-{m:02d}-{day:02d}",
        f"{m}/{day}/{year % 100:02d}",
    )
    words = (
        f"{name} {day}, {year}",
        f"{day} {name} {year}",
        f"{name} {day}th",
        f"{day}. Februar {year}",
        f"{name} {year}",
    )
    phone = (f"(317) 555-{number % 10000:04d}", f"317-555-{number % 10000:04d}", f"+49 89 {number}", "555-0199")
    streets = (f"{day} {surname.split()[-1]} Street", f"{surname.split()[-1]} Straße {day}", f"P.O. Box {number}")
    own = (f"{first} {last}", f"{last}, {first}", f"{last} {first}".upper(), f"{first.lower()} {last.lower()}")
    titled = (f"Dr. {other} {surname}", f"Prof. {surname}", f"Mrs. {surname}", f"DR. {surname.upper()}")
    choices: dict[str, list[tuple[str, str]]] = {
        "own name, whole": [(f"Report on {text}.", text) for text in own],
        "own name, one part": [(f"Report on {part}.", part) for part in (first, last)],
        "own number": [(f"Film {number} was read.", f"{number}")],
        "own hospital": [(f"Seen at the {place} Infirmary.", place)],
        "date in digits": [(f"Compared with the film of {text}.", text) for text in dates],
        "date in words": [(f"Compared with the film of {text}.", text) for text in words],
        "time": [(f"Called at {text}.", text) for text in (f"{day % 12}:42 PM", f"{day % 24:02d}:07")],
        "telephone": [(f"Call back on {text}.", text) for text in phone],
        "mail and web": [(f"Write to {t}.", t) for t in ("a.b@hospital.org", "https://pacs.example.org/1")],
        "labelled number": [
            (f"{label} {number % 10**5}.", f"{number % 10**5}") for label in ("MRN", "MRN:", "Accession #", "Case no:")
        ],
        "long number": [(f"Film A{number} was read.", f"{number}")],
        "titled name": [(f"Results were told to {text}.", surname) for text in titled],
        "signature": [
            (f"{lead}{other} {surname}{tail}.", surname)
            for lead, tail in (("Signed by ", ""), ("Dictated by: ", ""), ("", ", MD"), ("Reported by ", ", M.D"))
        ],
        "other hospital": [(f"Transferred from {place} Hospital.", place), (f"Seen at Klinikum {place}.", place)],
        "street": [(f"Lives at {text}.", text.removeprefix("P.O. Box ")) for text in streets],
        "age above 89": [
            (text, "97") for text in ("A 97-year-old man.", "97 yo woman.", "Aged 97.", "97F with cough.")
        ],
        "other name, no sign": [(f"Discussed with {other} {surname}.", surname)],
        "town, no sign": [("She lives in Indianapolis.", "Indianapolis")],
    }
    kind = rng.choice(list(choices))
    sentence, identifier = rng.choice(choices[kind])
    return kind, sentence, identifier, header


def times_told(identifier: str, text: str) -> int:
    """How often the parts of an identifier that have three characters stand in ``text``; years are told anyway."""
    parts = re.findall(r"\w+", identifier)
    telling = [part for part in parts if len(part) >= 3 and not re.fullmatch(r"(19|20)\d\d", part)] or [identifier]
    edges = {True: (r"(?<!\d)", r"(?!\d)"), False: (r"(?<!\w)", r"(?!\w)")}
    patterns = (re.escape(part).join(edges[part.isdigit()]) for part in telling)
    return sum(len(re.findall(pattern, text, re.IGNORECASE)) for pattern in patterns)


def read_reports(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        files: list[IO[bytes] | None] = [tar.extractfile(member) for member in tar if member.name.endswith(".xml")]
        trees = [ElementTree.parse(file) for file in files if file is not None]
    return ["\n".join(part.text or "" for part in tree.iter("AbstractText")) for tree in trees]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--misses", type=int, default=0, help="sentences to show of each kind that were missed")
    options = parser.parse_args()
    reports = read_reports(options.reports)[: 400 if options.quick else None]
    start = time.perf_counter()
    changed = [text for text in reports if scrub(text) != text]
    seconds = time.perf_counter() - start
    blanked = sum("Dr. XXXX" in text for text in changed)
    print(f"{len(changed)} of {len(reports)} reports change, {blanked} of them at a name that was blanked: Dr. XXXX")
    rng = random.Random(options.seed)
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    missed: dict[str, Counter[str]] = defaultdict(Counter)
    kept_words = all_words = 0
    for text in reports:
        kind, sentence, identifier, header = sentences(rng)
        position = rng.choice([0, *(match.end() for match in re.finditer(r"\. |\n", text)), len(text)])
        planted = f"{text[:position]} {sentence} {text[position:]}"
        exact = planted
        for value in (*header, header[0].replace("^", " ")):
            exact = exact.replace(value, "___")
        left, without = scrub(planted, header), scrub(text)  # what rules take of the report itself is counted above
        own = times_told(identifier, without)  # "small", of a patient called Small
        found[kind].append((times_told(identifier, left) <= own, times_told(identifier, exact) <= own))
        missed[kind][sentence] += times_told(identifier, left) > own
        before = Counter(re.findall(r"[^\W_]+", without))
        all_words += before.total()
        kept_words += (before & Counter(re.findall(r"[^\W_]+", left))).total()
    print(f"{kept_words / all_words:.4%} of the reports' own words stay when the film's header is known")
    ratios = {}
    for kind, pairs in sorted(found.items()):
        ours, exact_share = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
        ratios[kind] = {"n": len(pairs), "found": round(ours, 3), "exact": round(exact_share, 3)}
        print(f"{kind:24} {len(pairs):5}  found {ours:7.1%}   header's values alone {exact_share:7.1%}")
        for sentence, count in missed[kind].most_common(options.misses) if "no sign" not in kind else ():
            print(f"    missed: {sentence}" if count else "", end="\n" if count else "")
    signs = [pair for kind, pairs in found.items() if "no sign" not in kind for pair in pairs]
    total, exactly = (sum(pair[i] for pair in signs) / len(signs) for i in (0, 1))
    result = {
        "benchmark": "scrub",
        "machine": platform.processor() or platform.machine(),
        "config": {"reports": len(reports), "seed": options.seed},
        "ratios": {
            "found": round(total, 4),
            "exact": round(exactly, 4),
            "changed_of_clean": round(len(changed) / len(reports), 5),
        },
        "kinds": ratios,
        "ms_a_report": round(1000 * seconds / len(reports), 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
