"""PadChest: Hospital San Juan de Alicante, 2009–2017. Bustos et al., Med Image Anal 66 (2020), arXiv 1901.07441.

    PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv(.gz)
    <ImageDir>/<ImageID> or images/<ImageDir>/<ImageID> or images/<ImageID>: PNG of 16 bits

``Labels`` is a list of the 174 findings and 19 diagnoses that the report names: what is not named is absent. It is
unknown where the list also says "unchanged" (compared to a film that is not named), "suboptimal study" or
"exclude", and for films without a list. ``Report`` is Spanish, without accents and endings. Age is the year of
the film less the year of birth. Two films of three have labels by a network that was trained on the others
(``MethodLabel``). No official split.
"""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd

from raydino.readers.base import Known
from raydino.readers.cohort import Cohort, Row, by_file_name, read_table, require, years
from raydino.readers.vocabulary import canonical, listed, ordered, with_wider

_TABLE = "PADCHEST_chest_x_ray_images_labels_160K*.csv*"
_INCOMPLETE = ("unchanged", "suboptimal study", "exclude")
_VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "LATERAL"}  # COSTAL and EXCLUDE are no view of the chest
_SEXES = ("M", "F", "O")
# Files that at least two of the lists agree on that torchxrayvision (pull request 137) and three other public
# readers of PadChest skip; each name starts with 216840111366964.
_CORRUPT = """
012283393834152009033102258826_00-059-087
012339356563862009068084200743_00-045-105
012339356563862009072111404053_00-043-192
012373310883942009117084022290_00-064-025
012373310883942009152114636712_00-102-045
012373310883942009170084120009_00-097-074
012487858717522009280135853083_00-075-001
012558082906712009300162151055_00-078-079
012558082906712009327122220177_00-102-064
012819207061112010281134410801_00-129-131
012819207061112010306085429121_04-020-102
012819207061112010307142602253_04-014-084
012819207061112010315104455352_04-024-184
012959786098432011033083840143_00-176-115
012989926673512011074122523403_00-163-058
012989926673512011083134050913_00-168-009
012989926673512011101154138555_00-191-086
012989926673512011132200139442_00-157-099
012989926673512011151082430686_00-157-045
013076187734852011178154626671_00-145-086
013076187734852011291090445391_00-196-188
013590140476722013043111952381_02-065-198
013590140476722013058110301622_02-056-111
013686042548532013208193054515_02-026-007
013829543166512013353113303615_02-092-190
013962490064942014134093945580_01-178-104
"""


class PadChest(Cohort):
    """Implements ``Reader``. Films come in order of their file names, wherever they lie."""

    title = "PadChest"
    marks = (_TABLE,)
    suffixes = (".png",)
    published = (("films", 160_868),)  # the table of 2019 lists 160,861
    corrupt = frozenset(f"216840111366964{name}.png" for name in _CORRUPT.split())
    site = "Hospital San Juan de Alicante"
    population = "Spain"

    def _read(self) -> pd.DataFrame:
        needed = ("ImageID", "PatientID", "StudyID", "StudyDate_DICOM", "PatientBirth", "PatientSex_DICOM")
        films = read_table(require(self.source, _TABLE), *needed, "Projection", "Labels", "Report")
        films = films.rename(columns={"ImageID": "name", "PatientID": "patient"}).assign(official="")
        on_disk = by_file_name(self.on_disk)
        films["path"] = [on_disk.get(name, "") for name in films["name"]]
        terms = Counter(term for cell in films["Labels"] for term in terms_of(cell))
        self.left_out = {
            term: f"no finding of the vocabulary ({count:,} films)"
            for term, count in sorted(terms.items())
            if canonical(term) is None
        }
        self.labels = ordered(with_wider({name for term in terms if (name := canonical(term))}))
        if other := int((~films["Projection"].isin([*_VIEWS, ""])).sum()):
            self._notes.append(f"{other:,} films are of ribs or marked to be excluded; their view is unknown")
        return films

    def _known(self, row: Row) -> Known:
        born, taken = (row[column][:4] for column in ("PatientBirth", "StudyDate_DICOM"))
        age = years(str(int(taken) - int(born)), zero_is_unknown=False) if born.isdigit() and taken.isdigit() else None
        sex = row["PatientSex_DICOM"]
        return Known(
            study_id=row["StudyID"] or None,
            view=_VIEWS.get(row["Projection"]),
            age_years=age,
            sex=sex if sex in _SEXES else None,
        )

    def _labels(self, row: Row) -> dict[str, float | None]:
        terms = terms_of(row["Labels"])
        return listed(terms, self.labels, complete=bool(terms) and set(terms).isdisjoint(_INCOMPLETE))

    def _report(self, row: Row) -> str | None:
        return row["Report"] or None


def terms_of(cell: str) -> list[str]:
    """The terms of a cell like ``['normal', ' pneumonia']``."""
    return [term.strip() for term in re.findall(r"'([^']*)'|\"([^\"]*)\"", cell) for term in term if term.strip()]
