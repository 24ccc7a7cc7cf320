"""Every file of pydicom's own test data and of pydicom-data, and the odd real films beside the project.

No crash, one row each, and nobody's name or id in a row.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest

import raydino
from raydino.artifacts.dataset import Dataset
from raydino.dicom.decode import decode_frame
from raydino.dicom.header import read_film_header
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe, render_dicom
from raydino.dicom.presentation import contrast_of
from raydino.dicom.screen import REASONS, Rejected
from raydino.dicom.stored import StoredFrame

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom, on files that are meant to be odd

BESIDE = Path(raydino.__file__).resolve().parents[2] / "shared" / "data" / "dicom"


def pydicom_files() -> list[Path]:
    """pydicom's test data, and pydicom-data where it is installed; nothing is downloaded."""
    import pydicom.data

    folders = [Path(pydicom.data.__file__).parent]
    try:
        import data_store  # type: ignore[import-not-found]
    except ImportError:
        pass
    else:
        folders += [Path(folder) for folder in data_store.__path__]
    files = (path for folder in folders for path in sorted(folder.rglob("*")))
    return [path for path in files if path.is_file() and path.suffix not in (".py", ".pyc")]


def identifiers(files: list[Path]) -> set[str]:
    """Words of names and ids of patients that cannot be there by chance."""
    found = set()
    for path in files:
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            texts = [str(dataset.get(keyword, "")) for keyword in ("PatientName", "PatientID", "OtherPatientIDs")]
        except Exception:  # odd files are the point
            continue
        found |= {word for text in texts for word in re.split(r"[\s^=,;'\"\[\]]+", text) if len(word) > 4}
    return found


def test_grayscale_values_are_those_that_pydicom_reads() -> None:
    """Of every test file that pydicom decodes, whatever its modality; all others are rejected with a reason."""
    compared = 0
    for path in pydicom_files():
        try:
            dataset = pydicom.dcmread(path, force=True)
            truth = dataset.pixel_array
        except Exception:  # no image, or a broken one
            continue
        header = read_film_header(dataset)
        with contextlib.suppress(Rejected):
            render_dicom(dataset, header, PixelRecipe(64, 8))  # colour or not: nothing else may be raised
        if header.samples > 1:
            continue
        decoded = decode_frame(dataset)
        signed = contrast_of(dataset, decoded.bits).signed
        frame = StoredFrame.of(decoded.words, decoded.bits, signed=signed, shift=decoded.shift)
        found = frame.values[(frame.words.astype(np.int64) >> frame.shift) % len(frame.values)]
        np.testing.assert_array_equal(found, truth[0] if header.frames > 1 else truth, err_msg=path.name)
        compared += 1
    assert compared > 50


@pytest.fixture(scope="module", params=["pydicom", "beside"])
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], pd.DataFrame]:
    """The files, and the manifest of the dataset that ingest makes of all of them."""
    files = pydicom_files() if request.param == "pydicom" else sorted(BESIDE.glob("*.dcm"))
    if not files:
        pytest.skip("no real films beside the project")
    folder = tmp_path_factory.mktemp("odd") / "source"
    folder.mkdir()
    for number, path in enumerate(files):  # flat, since two folders hold files of one name
        target = folder / f"{number:04d}-{path.name}"
        try:
            os.link(path, target)
        except OSError:
            target.write_bytes(path.read_bytes())
    out = folder.parent / "dataset"
    ingest(folder, out, IngestOptions(workers=2))
    return files, Dataset.open(out).manifest


def test_every_file_is_a_row(corpus: tuple[list[Path], pd.DataFrame]) -> None:
    files, manifest = corpus
    assert len(manifest) == len(files)
    rejected = manifest[manifest["status"] == "rejected"]
    assert set(rejected["reason"]) <= set(REASONS)
    assert rejected["detail"].notna().all()
    assert not rejected["detail"].str.contains("died|longer than", regex=True).any(), "a decoder crashed or hung"


def test_no_row_names_a_patient(corpus: tuple[list[Path], pd.DataFrame]) -> None:
    files, manifest = corpus
    words = identifiers(files)
    assert len(words) > 2
    text = "\n".join(manifest["detail"].dropna())
    assert [word for word in words if word in text] == []


def test_the_chest_films_among_them_are_accepted(corpus: tuple[list[Path], pd.DataFrame]) -> None:
    files, manifest = corpus
    counts = Counter(manifest["reason"].fillna(manifest["status"]))
    chest = [path for path in files if re.match(r"RG1_|rg1_|fuji_cr_mono1_10bit.dcm|nih_dx_1|rsna", path.name)]
    assert counts["accepted"] + counts["duplicate"] >= len(chest) > 0
