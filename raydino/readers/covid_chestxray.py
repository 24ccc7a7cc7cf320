"""covid-chestxray-dataset: films and CT slices out of publications. Cohen et al., arXiv 2006.11988 (2020).

    metadata.csv: patientid, offset, sex, age, finding, view, modality, location, folder, filename, …
    images/<filename>

``finding`` is the diagnosis of the case as a path, Pneumonia/Viral/COVID-19: its parts are present, the other
labels absent; "todo" and "Unknown" leave all unknown. Only X-rays are read; CT is left out and counted. Films
were taken from publications, with arrows and crops. ``location`` ends in the country. No official split. The
clinical notes are case histories, not reports of the film, so they are left out.
"""

from __future__ import annotations

import pandas as pd

from raydino.readers.base import Known
from raydino.readers.cohort import Cohort, Row, by_file_name, read_table, require, years
from raydino.readers.vocabulary import NO_FINDING, canonical, listed, ordered

_UNKNOWN = ("", "todo", "unknown")
_VIEWS = {"L": "LATERAL"}
_COUNTRIES = {"USA": "United States", "US": "United States", "UK": "United Kingdom", "Korea": "South Korea"}


class CovidChestXray(Cohort):
    """Implements ``Reader``. Films come in order of their file names."""

    title = "covid-chestxray-dataset"
    marks = ("metadata.csv", "images")

    @classmethod
    def recognises(cls, source: str) -> bool:
        if not super().recognises(source):
            return False
        try:
            with open(f"{source}/metadata.csv", encoding="utf-8-sig", errors="replace") as file:
                columns = [column.strip() for column in file.readline().split(",")]
        except OSError:
            return False
        return {"patientid", "finding", "filename"} <= set(columns)

    def _read(self) -> pd.DataFrame:
        needed = ("patientid", "sex", "age", "finding", "view", "modality", "location", "filename")
        rows = read_table(require(self.source, "metadata.csv"), *needed)
        films = rows[rows["modality"].str.casefold() == "x-ray"].copy()
        if other := len(rows) - len(films):
            self._notes.append(f"{other:,} rows are of CT or another modality and left out")
        films = films.rename(columns={"filename": "name", "patientid": "patient"}).assign(official="")
        on_disk = by_file_name(file for file in self.on_disk if file.startswith("images/"))
        films["path"] = [on_disk.get(name, "") for name in films["name"]]
        others = set(rows.loc[rows["modality"].str.casefold() != "x-ray", "filename"])
        self.on_disk = tuple(file for file in on_disk.values() if file.removeprefix("images/") not in others)
        parts = {part for cell in films["finding"].unique() for part in cell.split("/") if not _silent(cell)}
        self.left_out = {part: "no finding of the vocabulary" for part in sorted(parts) if canonical(part) is None}
        self.labels = ordered({NO_FINDING, *(name for part in parts if (name := canonical(part)))})
        return films

    def _known(self, row: Row) -> Known:
        return Known(
            study_id=f"{row['patient']}:{row.get('offset', '')}",
            view=_VIEWS.get(row["view"], row["view"]) or None,
            age_years=years(row["age"]),
            sex=row["sex"] or None,
            population=country_of(row["location"]),
        )

    def _labels(self, row: Row) -> dict[str, float | None]:
        return listed(row["finding"].split("/"), self.labels, complete=not _silent(row["finding"]))


def country_of(location: str) -> str | None:
    """The country at the end of ``Hospital, city, state, country``."""
    country = location.split(",")[-1].strip()
    return _COUNTRIES.get(country, country) or None


def _silent(finding: str) -> bool:
    return finding.casefold() in _UNKNOWN
