"""The page's pictures: the film upright and deep, masks of the archive's SEG where they lie in it, attention over it."""

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest

from adapters.reading import Reading
from adapters.results.model import Author, Model
from adapters.results.segmentation import segmentation
from adapters.serving.display import attention_png, display_film, mask_pngs
from raydino.data.film_source import source_of_film
from raydino.data.one_film import film_of_dicom
from raydino.dicom.pixels import PixelRecipe
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.phantom.archive import write_archive
from raydino.train.attention_maps import attention_rollout

MODEL = Model("e" * 64, (Author("segmentation", "segmentation_conv", ("corner", "edge", "none"), "d" * 64),), "1.2.3")
ORIENTATIONS = [["L", "F"], ["R", "H"], ["R", "F"], ["L", "H"], ["F", "L"], ["H", "R"], ["F", "R"], ["H", "L"], None]
_OF_THE_PHANTOM = (
    *("VOILUTSequence", "VOILUTFunction", "ModalityLUTSequence", "PresentationLUTShape", "PixelAspectRatio"),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelPaddingValue", "ShutterShape", "CollimatorShape"),
)
READ_BY = PixelRecipe(shorter_side=48).resolved()


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth")
    write_archive(path, patients=1, seed=0)
    return min(p for p in (path / "archive").rglob("*") if p.is_file())


def lying(phantom: Path, path: Path, orientation: list[str] | None) -> np.ndarray:
    """A film [96, 160] that no turn leaves as it was: a bright corner and a less bright edge. Returns its pixels."""
    stored = np.full((96, 160), 500, np.uint16)
    stored[0:24, 0:32] = 4000
    stored[48:64, 144:160] = 2500
    dataset = pydicom.dcmread(phantom)
    for keyword in _OF_THE_PHANTOM:
        if keyword in dataset:
            del dataset[keyword]
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 96, 160, 16, 12, 11
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope, dataset.RescaleIntercept = 2048, 4096, 1, 0
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.PatientOrientation = orientation
    dataset.PixelData = stored.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return stored


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_masks_lie_over_the_film_as_it_is_shown(phantom: Path, tmp_path: Path, orientation: list[str] | None) -> None:
    path = tmp_path / "film.dcm"
    lying(phantom, path, orientation)
    read = film_of_dicom(path, READ_BY)
    greys = read.pixels.astype(int)
    masks = {"edge": np.abs(greys - 156) < 20, "none": np.zeros(greys.shape, bool), "corner": greys > 240}
    source = source_of_film(path, read)
    segmentation(masks, source, MODEL).save_as(tmp_path / "seg.dcm")
    film = display_film(path, 96, pixels=READ_BY)
    assert film.dtype == np.uint16
    assert film.shape == (read.pixels.shape[0] * 2, read.pixels.shape[1] * 2)
    pngs = mask_pngs(tmp_path / "seg.dcm", path, film)
    assert list(pngs) == ["edge", "none", "corner"]
    shown = {name: cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) for name, png in pngs.items()}
    assert all(mask.dtype == np.uint8 and mask.shape == film.shape for mask in shown.values())
    shades = film.astype(float) / 65535
    np.testing.assert_array_equal(shown["corner"] == 255, shades > 0.94)
    np.testing.assert_array_equal(shown["edge"] == 255, np.abs(shades - 0.61) < 0.08)
    assert not shown["none"].any()
    assert (shown["corner"] == 255).mean() == pytest.approx(24 * 32 / (96 * 160), rel=0.15)


def test_a_film_is_shown_where_it_can_be_read_and_refused_alike(phantom: Path, tmp_path: Path) -> None:
    """By a recipe of 1,024 pixels the screening would ask for a larger source than the encoder's."""
    lying(phantom, tmp_path / "film.dcm", None)
    assert display_film(tmp_path / "film.dcm", pixels=READ_BY).shape == (96, 160)  # never enlarged
    dataset = pydicom.dcmread(tmp_path / "film.dcm")
    dataset.Modality = "MR"
    dataset.save_as(tmp_path / "slice.dcm")
    for show in (lambda path: display_film(path, pixels=READ_BY), lambda path: film_of_dicom(path, READ_BY)):
        with pytest.raises(UserError, match="ingest would not take it"):
            show(tmp_path / "slice.dcm")


def test_attention_is_the_rollout_over_the_whole_film(encoder: Encoder, phantom: Path) -> None:
    film = display_film(phantom, 128)
    picture = cv2.imdecode(np.frombuffer(attention_png(encoder, film), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (*film.shape, 4)
    side = encoder.spec.image_size
    view = Reading(film_of_dicom(phantom, PixelRecipe(128, 16).resolved())).film.view(side)
    rollout = attention_rollout(encoder.vit, encoder.normalise(view))[0].numpy()
    grid = cv2.resize(picture[..., 3].astype(np.float32), rollout.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.corrcoef(grid.ravel(), rollout.ravel())[0, 1] > 0.9
    assert picture[..., 3].max() == round(255 * 0.7)
