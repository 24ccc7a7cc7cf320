from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions, SourceImage, open_reader
from raydino.readers.candid_ptx import CandidPtx


def tree(root: Path, fractures: str = "acute_rib_fracture.csv", folder: str = "dataset") -> Path:
    (root / folder).mkdir(parents=True)
    for uid in ("1.1", "1.2", "1.3", "1.5", "1.6"):
        (root / folder / uid).touch()
    (root / "Pneumothorax_reports.csv").write_text(
        "filename,StudyInstanceUID,SOPInstanceUID,EncodedPixels,Report\n"
        'P7_1,9.1,1.1,2049 3,"Right, apical\npneumothorax."\n'
        'P7_1,9.1,1.1,9225 1,"Right, apical\npneumothorax."\n'
        "P7_2,9.2,1.2,-1,Clear.\n"
        "P8_1,9.3,1.3,-1,\n"
        "P8_2,9.4,1.4,-1,Not on disk.\n"
        "P9_1,9.5,1.5,-1,Of two.\n"
        "P10_1,9.6,1.5,-1,Of two.\n"
    )
    (root / fractures).write_text("anon_SOPUID,annotation_ref,mask_rle\n1.2,a,1023 2\n1.2,b,5120 4\n1.3,c,-1\n")
    (root / "chest_tube.csv").write_text("anon_SOPUID,annotation_ref,mask_rle\n1.1,a,0 1 1023 1\n1.3,b,-1\n")
    return root


def by_name(reader: CandidPtx) -> dict[str, SourceImage]:
    return {image.name: image for image in reader.images()}


def test_what_is_known_of_each_film(tmp_path: Path) -> None:
    tree(tmp_path)
    assert open_reader(str(tmp_path))[0] == "candid-ptx"
    reader = CandidPtx(str(tmp_path), ReaderOptions())
    images = by_name(reader)
    assert list(images) == ["1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]
    assert reader.total() == 6
    first = images["1.1"]
    assert first.path == tmp_path / "dataset" / "1.1"
    assert first.is_dicom
    assert first.chest_film
    assert (first.known.patient_id, first.known.study_id, first.known.split) == ("P7", "9.1", None)
    assert {image.known.population for image in images.values()} == {"New Zealand"}
    assert first.report == "Right, apical\npneumothorax."
    assert images["1.2"].report == "Clear."
    assert images["1.3"].report is None
    labels = {name: tuple(image.labels[label] for label in reader.labels) for name, image in images.items()}
    assert reader.labels == ("Pneumothorax", "Rib Fracture", "Support Devices")
    assert labels == {
        "1.1": (1, 0, 1),
        "1.2": (0, 1, None),
        "1.3": (0, 0, None),
        "1.4": (0, 0, None),
        "1.5": (0, 0, None),
        "1.6": (None, None, None),
    }
    assert not (images["1.4"].path or Path("x")).exists()
    assert list(reader.notes) == [
        "1 films are in no row of the table",
        "19,237 films are published, 6 are here",
        "1 listed films are missing",
    ]


def test_masks(tmp_path: Path) -> None:
    images = by_name(CandidPtx(str(tree(tmp_path)), ReaderOptions()))
    assert {name: sorted(image.masks) for name, image in images.items() if image.masks} == {
        "1.1": ["chest_tube", "pneumothorax"],
        "1.2": ["rib_fracture"],
    }
    where = {}
    for name, structure in (("1.1", "pneumothorax"), ("1.1", "chest_tube"), ("1.2", "rib_fracture")):
        maker = images[name].masks[structure]
        assert not isinstance(maker, Path)
        mask = maker()
        assert mask.shape == (1024, 1024)
        where[structure] = np.argwhere(mask).tolist()  # [row, column]
    assert where == {
        "pneumothorax": [[1, 2], [2, 2], [3, 2], [9, 9]],
        "chest_tube": [[0, 0], [0, 1]],
        "rib_fracture": [[0, 1], [0, 5], [1, 5], [2, 5], [3, 5], [1023, 0]],
    }


def test_a_film_of_two_patients_is_left_out_with_a_reason(tmp_path: Path) -> None:
    images = by_name(CandidPtx(str(tree(tmp_path)), ReaderOptions()))
    assert images["1.5"].known_corrupt == "the table gives it to two patients"
    assert images["1.5"].known.patient_id is None
    assert [image.known_corrupt for name, image in images.items() if name != "1.5"] == [None] * 5


def test_other_names_and_missing_tables(tmp_path: Path) -> None:
    root = tree(tmp_path / "candid-ptx", "Rib_fracture_mask_rle.csv", "chest_radiographs")
    (root / "chest_tube.csv").unlink()
    assert by_name(CandidPtx(str(root), ReaderOptions()))["1.2"].labels["Rib Fracture"] == 1
    (root / "Rib_fracture_mask_rle.csv").unlink()
    reader = CandidPtx(str(root), ReaderOptions())
    assert by_name(reader)["1.2"].labels == {"Pneumothorax": 0, "Rib Fracture": None, "Support Devices": None}
    assert "acute_rib_fracture.csv is not there" in reader.notes
    assert "chest_tube.csv is not there" in reader.notes


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("Pneumothorax_reports.csv", "SOPInstanceUID,Report\n1.1,x\n", "lacks a column 'EncodedPixels'"),
        ("chest_tube.csv", "SOPInstanceUID,mask_rle\n1.1,1 2\n", "lacks a column 'anon_SOPUID'"),
        ("acute_rib_fracture.csv", "anon_SOPUID\n1.1\n", "lacks a column 'mask_rle'"),
    ],
)
def test_faults(tmp_path: Path, table: str, text: str, message: str) -> None:
    tree(tmp_path)
    (tmp_path / table).write_text(text)
    with pytest.raises(UserError, match=message):
        CandidPtx(str(tmp_path), ReaderOptions())


def test_no_films(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "dataset").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="lacks dataset; get all tables"):
        CandidPtx(str(tmp_path), ReaderOptions())
