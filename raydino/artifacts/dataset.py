"""The dataset artifact: films with what is known about them, de-identified, split by patient.

``manifest.parquet`` has one row a source image, rejected ones included (``status``, ``reason``), so
that nothing vanishes. Demographics stand apart from the manifest: training needs none.
``masks/<structure>/<sample_id>.png`` are 0/255 at the stored film's size; no file means unknown.
``previews/<sample_id>.png`` are small pictures of rejected films, where they were asked for.
``measurements.parquet`` holds continuous values; a dataset whose source has none lacks the file.
The header's ``config`` holds ``pixels`` (the pixel recipe), ``labels`` (ordered) and ``structures``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from raydino.artifacts.header import Header, Schema, read_header
from raydino.artifacts.images import Location, read_film
from raydino.artifacts.table import Column, Table
from raydino.errors import UserError

DATASET = Schema("dataset", 2)
SPLITS = ("train", "val", "test")
SEXES = ("F", "M", "O", "UNKNOWN")

MANIFEST = Table(
    "manifest",
    (
        Column("sample_id", "string"),  # keyed pseudonyms: HMAC of the UIDs and the patient's id
        Column("patient_id", "string", nullable=True),  # null only where status is rejected
        Column("study_id", "string", nullable=True),
        Column("study_year", "float", nullable=True),  # all that is told of dates
        Column("source", "string"),  # which reader it came through
        Column("split", "string", nullable=True),
        Column("official_split", "string", nullable=True),  # what the source says, null where it says nothing
        Column("modality", "string", nullable=True),
        Column("manufacturer", "string", nullable=True),  # a known maker or OTHER
        Column("view", "string", nullable=True),  # PA, AP, LATERAL or UNKNOWN
        Column("rows", "float", nullable=True),  # of the stored film
        Column("cols", "float", nullable=True),
        Column("bits_stored", "float", nullable=True),  # of the source
        Column("spacing_mm", "float", nullable=True),  # between rows of the stored film
        Column("photometric", "string", nullable=True),  # of the source
        Column("transfer_syntax", "string", nullable=True),
        Column("voi", "string", nullable=True),  # what gave the contrast: lut, window, percentile, none
        Column("content_sha256", "string", nullable=True),  # of the film as stored
        Column("duplicate_of", "string", nullable=True),
        Column("status", "string"),  # accepted or rejected
        Column("reason", "string", nullable=True),  # a code, for rejected rows
        Column("detail", "string", nullable=True),  # one line without identifiers
        Column("shard", "string", nullable=True),
        Column("offset", "float", nullable=True),
        Column("length", "float", nullable=True),
    ),
)
DEMOGRAPHICS = Table(
    "demographics",
    (
        Column("sample_id", "string"),
        Column("patient_id", "string"),
        Column("age_years", "float", nullable=True),  # 90 is 90 or more
        Column("sex", "string"),  # one of SEXES
        Column("population", "string"),  # a country or known group, else a keyed pseudonym; UNKNOWN allowed, null not
        Column("site", "string"),
        Column("race", "string"),  # race or ethnicity; UNKNOWN allowed, null not, here and below
        Column("insurance", "string"),
    ),
)
LABELS = Table("labels", (Column("sample_id", "string"),), others="float")  # 1 / 0 / null, one column a label
# One column a measurement, null where it is unknown; a row for each film that has any.
MEASUREMENTS = Table("measurements", (Column("sample_id", "string"),), others="float")
REPORTS = Table("reports", (Column("sample_id", "string"), Column("study_id", "string"), Column("text", "string")))


@dataclass(frozen=True)
class Dataset:
    """A dataset opened for reading. Tables are pandas frames; films are read one at a time."""

    path: Path
    header: Header

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """Open and check the header. Raises UserError on another schema or version."""
        return cls(Path(path), read_header(path, DATASET))

    @property
    def pixels(self) -> dict[str, Any]:
        """The pixel recipe that made the films."""
        return dict(self.header.config["pixels"])

    @property
    def label_names(self) -> tuple[str, ...]:
        """The ordered label set."""
        return tuple(self.header.config["labels"])

    @property
    def structures(self) -> tuple[str, ...]:
        """Structures that some film has a mask of."""
        return tuple(self.header.config["structures"])

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """All rows, accepted and rejected, indexed by sample_id."""
        return MANIFEST.read(self.path / "manifest.parquet").set_index("sample_id", drop=False)

    @cached_property
    def accepted(self) -> pd.DataFrame:
        """The manifest's accepted rows in order of sample_id."""
        return self.manifest[self.manifest["status"] == "accepted"].sort_index()

    @cached_property
    def demographics(self) -> pd.DataFrame:
        """Age, sex, population and site of accepted films, indexed by sample_id."""
        return DEMOGRAPHICS.read(self.path / "demographics.parquet").set_index("sample_id", drop=False)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """[accepted films, labels]: 1 present, 0 absent, NaN unknown."""
        frame = LABELS.read(self.path / "labels.parquet").set_index("sample_id")
        return frame[list(self.label_names)].reindex(self.accepted.index)

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """[accepted films, measurements], such as cardiothoracic_ratio; NaN unknown. No column where none is known."""
        path = self.path / "measurements.parquet"
        if not path.is_file():
            return pd.DataFrame(index=self.accepted.index)
        return MEASUREMENTS.read(path).set_index("sample_id").reindex(self.accepted.index)

    @cached_property
    def reports(self) -> pd.DataFrame:
        """Texts of those accepted films that have one, indexed by sample_id."""
        return REPORTS.read(self.path / "reports.parquet").set_index("sample_id", drop=False)

    def sample_ids(self, *splits: str) -> list[str]:
        """Accepted films of the given splits (all when none is given), in order of sample_id."""
        rows = self.accepted
        if splits:
            unknown = [split for split in splits if split not in SPLITS]
            if unknown:
                raise UserError(f"no split is called {unknown[0]!r}", remedy=f"one of {', '.join(SPLITS)}")
            rows = rows[rows["split"].isin(splits)]
        return list(rows.index)

    def film(self, sample_id: str) -> npt.NDArray[np.uint8 | np.uint16]:
        """One film, [rows, cols]."""
        if sample_id not in self.accepted.index:
            raise UserError(f"holds no accepted film {sample_id!r}", where=self.path)
        row = self.accepted.loc[sample_id]
        location = Location(str(row["shard"]), int(row["offset"]), int(row["length"]))
        return read_film(self.path / "images", location)

    def mask_path(self, structure: str, sample_id: str) -> Path:
        """Where the mask lies when it is known."""
        return self.path / "masks" / structure / f"{sample_id}.png"

    def mask(self, structure: str, sample_id: str) -> npt.NDArray[np.bool_] | None:
        """[rows, cols] of the stored film, or None where the structure is unknown on this film."""
        path = self.mask_path(structure, sample_id)
        if not path.is_file():
            return None
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise UserError("holds a broken mask", where=path, remedy="run raydino ingest again")
        return np.asarray(mask >= 128)

    def require_disjoint_patients(self) -> None:
        """Raise UserError when a patient stands in two splits."""
        splits = self.accepted.groupby("patient_id")["split"].nunique()
        torn = splits[splits > 1]
        if len(torn):
            raise UserError(
                f"{len(torn)} patients stand in more than one split, {torn.index[0]} among them",
                where=self.path,
                remedy="a dataset must be split by patient; run raydino ingest again",
            )
