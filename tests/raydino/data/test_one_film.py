"""A DICOM read alone is the film that ingest puts into a dataset, to the bit."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from raydino.artifacts.dataset import Dataset
from raydino.data.one_film import film_of_dicom
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.screen import Screening
from raydino.errors import UserError
from raydino.phantom.archive import write_archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "archive"
    write_archive(path, patients=3, seed=0)
    return path / "archive"


@pytest.fixture(scope="module")
def film_file(archive: Path) -> Path:
    return min(path for path in archive.rglob("*") if path.is_file())


def damaged(file: Path, **attributes: object) -> bytes:
    """The file's bytes with other attributes."""
    dataset = pydicom.dcmread(file)
    buffer = pydicom.filebase.DicomBytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("recipe", [PixelRecipe(shorter_side=64), PixelRecipe(shorter_side=96, bits=16)])
def test_a_file_alone_is_the_film_that_ingest_makes(archive: Path, tmp_path: Path, recipe: PixelRecipe) -> None:
    crosswalk = tmp_path / "crosswalk.csv"
    ingest(archive, tmp_path / "dataset", IngestOptions(recipe=recipe, crosswalk=crosswalk))
    dataset = Dataset.open(tmp_path / "dataset")
    with crosswalk.open() as file:
        path_of = {row["sample_id"]: archive / row["path"] for row in csv.DictReader(file)}
    assert len(dataset.sample_ids()) >= 3
    for sample_id in dataset.sample_ids():
        alone = film_of_dicom(path_of[sample_id], dataset.pixels)
        stored = dataset.film(sample_id)
        assert alone.pixels.dtype == stored.dtype
        np.testing.assert_array_equal(alone.pixels, stored)
        assert alone.spacing_mm == dataset.accepted["spacing_mm"].loc[sample_id]
        content = film_of_dicom(path_of[sample_id].read_bytes(), dataset.pixels)
        np.testing.assert_array_equal(content.pixels, stored)


def test_the_view_is_the_whole_film_as_an_encoder_takes_it(film_file: Path) -> None:
    film = film_of_dicom(film_file, PixelRecipe(shorter_side=64).resolved())
    view = film.view(32)
    assert view.shape == (1, 1, 32, 32)
    assert view.mean().item() == pytest.approx(film.pixels.mean() / 255, abs=2e-3)


def test_an_encoder_from_elsewhere_takes_our_own_recipe(film_file: Path) -> None:
    ours = film_of_dicom(film_file, PixelRecipe().resolved())
    np.testing.assert_array_equal(film_of_dicom(film_file, {}).pixels, ours.pixels)


def test_odd_header_values_are_not_told(film_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = damaged(film_file, PatientAge="Jane Doe's", PixelSpacing=None, RescaleIntercept=None)
    caplog.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        film_of_dicom(content, {})
    assert [str(warning.message) for warning in said] == caplog.messages == []


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, r"not a projection radiograph .*CT"),
        ({"BodyPartExamined": "HAND", "SeriesDescription": "HAND", "ProtocolName": "HAND"}, r"not a film of the chest"),
        ({"PresentationIntentType": "FOR PROCESSING"}, r"raw detector values"),
    ],
)
def test_what_ingest_would_reject_is_one_line(film_file: Path, attributes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^the file's content: ingest would not take it: {message}") as error:
        film_of_dicom(damaged(film_file, **attributes), {})
    assert "\n" not in str(error.value)


def test_screening_may_be_told_to_keep_a_film(film_file: Path) -> None:
    hand = damaged(film_file, BodyPartExamined="HAND", SeriesDescription="HAND", ProtocolName="HAND")
    film_of_dicom(hand, {}, Screening(keep=frozenset({"not_chest"})))


def test_what_is_no_dicom_file_and_no_file(film_file: Path, tmp_path: Path) -> None:
    text = tmp_path / "film.dcm"
    text.write_text("not a film")
    with pytest.raises(UserError, match=r"film\.dcm: ingest would not take it: the file is not DICOM \("):
        film_of_dicom(text, {})
    with pytest.raises(UserError, match=r"the file is DICOM or an image, but broken"):
        film_of_dicom(film_file.read_bytes()[:-5000], {})
    with pytest.raises(UserError, match=r"the file is not DICOM"):
        film_of_dicom(b"", {})
    with pytest.raises(UserError, match=r"nothing: no such file"):
        film_of_dicom(tmp_path / "nothing", {})
    with pytest.raises(UserError, match=r"no such file"):
        film_of_dicom(tmp_path, {})


def test_films_of_another_recipe_are_refused(film_file: Path) -> None:
    recipe = PixelRecipe(shorter_side=64).resolved()
    with pytest.raises(UserError, match=r"another pixel recipe \(version\); use the version of raydino"):
        film_of_dicom(film_file, recipe | {"version": 1})
    with pytest.raises(UserError, match=r"another pixel recipe \(sharpened\)"):
        film_of_dicom(film_file, recipe | {"sharpened": True})
    with pytest.raises(UserError, match=r"another pixel recipe \(.*shorter_side.*version.*\)"):
        film_of_dicom(film_file, {"bits": 8})
