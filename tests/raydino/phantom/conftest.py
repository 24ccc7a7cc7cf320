"""One small archive for all tests of the phantom, and a reader of its films that shares no code with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest

from raydino.phantom.archive import write_archive

PATIENTS = 14
SEED = 5


@dataclass(frozen=True)
class Written:
    """An archive on disk."""

    path: Path

    @cached_property
    def labels(self) -> pd.DataFrame:
        return pd.read_csv(self.path / "labels.csv").set_index("sop_instance_uid", drop=False)

    @cached_property
    def truth(self) -> dict[str, Any]:
        return json.loads((self.path / "truth.json").read_text(encoding="utf-8"))

    def dataset(self, uid: str) -> pydicom.Dataset:
        return pydicom.dcmread(self.path / "archive" / self.labels.loc[uid, "file"])

    def mask(self, name: str, uid: str) -> np.ndarray | None:
        path = self.path / "masks" / name / f"{uid}.png"
        return cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None


def _displayed(dataset: pydicom.Dataset) -> np.ndarray:
    """Brightness 0..1 by PS3.3 C.11, written for these tests from the standard's formulas."""
    values = dataset.pixel_array.astype(np.float64)
    top = 2.0**dataset.BitsStored - 1
    if "ModalityLUTSequence" in dataset:
        values = np.frombuffer(dataset.ModalityLUTSequence[0].LUTData, "<u2")[values.astype(int)].astype(np.float64)
        top = 65535.0
    if "VOILUTSequence" in dataset:
        shown = np.frombuffer(dataset.VOILUTSequence[0].LUTData, "<u2")[values.astype(int)] / 65535.0
    elif "WindowCenter" in dataset:
        center, width = (float(np.atleast_1d(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        if dataset.get("VOILUTFunction") == "SIGMOID":
            shown = 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
        else:
            shown = np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)
    else:
        shown = values / top
    return 1.0 - shown if dataset.PhotometricInterpretation == "MONOCHROME1" else shown


@pytest.fixture(scope="session")
def displayed() -> Callable[[pydicom.Dataset], np.ndarray]:
    return _displayed


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Written:
    out = tmp_path_factory.mktemp("phantom") / "archive"
    write_archive(out, patients=PATIENTS, seed=SEED)
    return Written(out)
