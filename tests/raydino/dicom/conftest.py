"""A writer of small DICOM files, independent of the code under test."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498."
CR = "1.2.840.10008.5.1.4.1.1.1"
WriteDicom = Callable[..., Path]


def asymmetric(rows: int = 24, cols: int = 20, top: int = 255) -> npt.NDArray[np.int64]:
    """No flip and no transpose of it is itself: brighter downwards and, half as much, to the right."""
    row, col = np.mgrid[0:rows, 0:cols]
    ramp = 2 * row / (rows - 1) + col / (cols - 1)
    return np.rint(ramp / 3 * top).astype(np.int64)


def dicom_dataset(stored: npt.NDArray[Any], uid: str, bits: int = 8, **attributes: Any) -> Dataset:
    """A chest CR. ``stored`` holds the values that the bits stand for; attributes override or add."""
    allocated = 8 if bits <= 8 else 16
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = CR
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = CR, uid
    dataset.StudyInstanceUID, dataset.PatientID = f"{uid}.1", f"P{uid[-4:]}"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = allocated, bits, bits - 1
    dataset.PixelRepresentation = int(stored.min() < 0)
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    patterns = stored.astype(np.int64) & (2**bits - 1)
    patterns <<= dataset.HighBit - bits + 1
    dataset.PixelData = patterns.astype("<u1" if allocated == 8 else "<u2").tobytes()
    dataset["PixelData"].VR = "OB" if allocated == 8 else "OW"
    return dataset


@pytest.fixture
def write_dicom() -> WriteDicom:
    """``write(path, stored=None, uid=None, bits=8, **attributes)``; films differ by their path."""

    def write(
        path: Path, stored: npt.NDArray[Any] | None = None, uid: str | None = None, bits: int = 8, **attributes: Any
    ) -> Path:
        number = zlib.crc32(str(path).encode())
        if stored is None:
            noise = np.random.default_rng(number).integers(0, 9, (24, 20))
            stored = np.clip(asymmetric() + noise, 0, 255)
        path.parent.mkdir(parents=True, exist_ok=True)
        dicom_dataset(stored, uid or f"{ROOT}{number}", bits, **attributes).save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    """``make(stored, bits=8, **attributes)``: a dataset in memory."""

    def make(stored: npt.NDArray[Any], bits: int = 8, **attributes: Any) -> Dataset:
        return dicom_dataset(stored, f"{ROOT}7", bits, **attributes)

    return make


@pytest.fixture
def ramp() -> Callable[..., npt.NDArray[np.int64]]:
    """``ramp(rows, cols, top)``: an asymmetric film."""
    return asymmetric
