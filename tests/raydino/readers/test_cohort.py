from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raydino.errors import UserError
from raydino.readers.base import READERS, Known, ReaderOptions, open_reader
from raydino.readers.cohort import (
    TRAIN_OR_VAL,
    VALIDATION_SHARE,
    Cohort,
    Row,
    find,
    read_table,
    require,
    require_truths,
    train_or_val,
    years,
)


class Little(Cohort):
    title = "the little set"
    marks = ("little.csv",)
    published = (("films", 5), ("train films", 2), ("patients", 2))
    splits = (("train", TRAIN_OR_VAL), ("test", "test"))
    corrupt = frozenset(("c.png",))
    site = "Here"
    population = "Peru"

    def _read(self) -> pd.DataFrame:
        self.labels = ("Edema",)
        films = read_table(require(self.source, "little.csv"), "name", "patient", "official")
        films["path"] = [f"films/{name}" if f"films/{name}" in self.on_disk else "" for name in films["name"]]
        return films

    def _known(self, row: Row) -> Known:
        return Known(view="PA")

    def _labels(self, row: Row) -> dict[str, float | None]:
        return {"Edema": 1.0}


@pytest.fixture
def little(tree: Any) -> Path:
    table = "name,patient,official\nc.png,A,train\na.png,A,train\na.png,A,train\nb.jpg,B,test\ngone.dcm,,\n"
    films = dict.fromkeys(("films/a.png", "films/c.png", "films/b.jpg", "films/extra.png", "films/.hidden.png"), "")
    return tree({"little.csv": table, **films})


def test_rows_come_in_order_each_once_and_missing_files_stay(little: Path) -> None:
    images = list((reader := Little(str(little), ReaderOptions())).images())
    assert [image.name for image in images] == ["a.png", "b.jpg", "c.png", "gone.dcm"]
    assert reader.total() == 4
    assert images[0].path == little / "films" / "a.png"
    assert images[3].path == little / "gone.dcm"
    assert [image.is_dicom for image in images] == [False, False, False, True]
    assert images[0].known == Known(patient_id="A", view="PA", split=train_or_val("A"), site="Here", population="Peru")
    assert images[1].known.split == "test"
    assert (images[3].known.patient_id, images[3].known.split) == (None, None)
    assert [image.known_corrupt is not None for image in images] == [False, False, True, False]
    assert all(image.chest_film for image in images)


def test_notes_count_what_differs(little: Path) -> None:
    assert Little(str(little), ReaderOptions()).notes == (
        "1 rows are of a film that is listed already",
        "5 films are published, 4 are here",
        "1 listed films are missing",
        "1 image files are listed nowhere and left out",
    )


def test_a_folder_is_recognised_by_its_marks(little: Path, tmp_path: Path) -> None:
    assert Little.recognises(str(little))
    assert not Little.recognises(str(tmp_path))
    assert not Little.recognises("http://127.0.0.1/dicom-web")
    assert not Little.recognises("")


def test_an_empty_table_and_a_table_of_images(tree: Any) -> None:
    root = tree({"little.csv": "name,patient,official\n"})
    with pytest.raises(UserError, match="lists no film of the little set"):
        Little(str(root), ReaderOptions())
    with pytest.raises(UserError, match="--images-csv is for image files"):
        Little(str(root), ReaderOptions(root / "little.csv"))
    with pytest.raises(UserError, match="no such directory"):
        Little(str(root / "nowhere"), ReaderOptions())


def test_faults_of_tables_are_one_line_with_file_and_column(tree: Any) -> None:
    root = tree({"little.csv": "name,patient\n", "labels.csv": "Edema\n1\nmaybe\n", "x.csv.gz": "a\n1\n"})
    with pytest.raises(UserError, match=r"little\.csv: lacks a column 'official'; found: name, patient$"):
        Little(str(root), ReaderOptions())
    with pytest.raises(UserError, match=r"labels\.csv: column 'Edema' holds a cell that is neither 1, 0, -1 nor"):
        require_truths(read_table(root / "labels.csv"), root / "labels.csv", ["Edema"])
    with pytest.raises(UserError, match=r"source: lacks no\.csv; get all tables"):
        require(root, "no.csv")
    assert list(read_table(root / "x.csv.gz", "a")["a"]) == ["1"]
    broken = root / "x.csv.gz"
    broken.write_bytes(broken.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"x\.csv\.gz: is a broken gzip file"):
        read_table(broken)
    broken.write_bytes(b"a\n1\n")
    with pytest.raises(UserError, match=r"x\.csv\.gz: is a broken gzip file"):
        read_table(broken)


def test_a_linked_folder_is_walked_and_a_loop_ends(little: Path, tmp_path: Path) -> None:
    (little / "films").rename(tmp_path / "elsewhere")
    (little / "films").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(little)
    reader = Little(str(little), ReaderOptions())
    assert "1 listed films are missing" in reader.notes
    assert [image.path.is_file() for image in reader.images() if image.path] == [True, True, True, False]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_no_name_leads_out_of_the_source(tree: Any, name: str) -> None:
    root = tree({"little.csv": f"name,patient,official\n{name},A,train\n"})
    with pytest.raises(UserError, match="its tables give 1 films names that lead out of it"):
        Little(str(root), ReaderOptions())


def test_tables_beside_and_above_are_found(tree: Any, tmp_path: Path) -> None:
    root = tree({"here.csv": ""}, "set/1.0")
    tree({"hosp/there.csv": ""}, "other")
    assert find(root, "here.csv") == root / "here.csv"
    assert find(root, "there.csv", around=("other*/hosp/there.csv",)) == tmp_path / "other/hosp/there.csv"
    assert find(root, "there.csv") is None


@pytest.mark.parametrize(
    ("text", "age"),
    [("58", 58), ("058Y", 58), ("58.0", 58), ("0", None), ("411Y", None), ("120", 120), ("", None), ("old", None)],
)
def test_ages(text: str, age: float | None) -> None:
    assert years(text) == age
    assert years("0", zero_is_unknown=False) == 0


def test_validation_is_dealt_by_patient_alone() -> None:
    dealt = [train_or_val(str(patient)) for patient in range(20_000)]
    assert dealt == [train_or_val(str(patient)) for patient in range(20_000)]
    share = Counter(dealt)["val"] / len(dealt)
    assert abs(share - VALIDATION_SHARE) < 4 * (VALIDATION_SHARE / len(dealt)) ** 0.5


def test_no_two_data_sets_recognise_one_folder(tree: Any) -> None:
    """And the plain readers come after: open_reader asks in the registry's order."""
    marks = {
        "mimic-cxr": ("cxr-record-list.csv.gz", "files/p10/x", "mimic-cxr-2.0.0-metadata.csv.gz"),
        "mimic-cxr-jpg": ("mimic-cxr-2.0.0-metadata.csv.gz", "files/p10/x"),
        "chexpert": ("train.csv", "train/patient00001/x"),
        "nih14": ("Data_Entry_2017_v2020.csv", "images_001/images/x"),
        "padchest": ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "0/x"),
        "brax": ("master_spreadsheet_update.csv", "images/x"),
        "vindr-cxr": ("annotations/image_labels_train.csv", "train/x"),
        "rsna-pneumonia": ("stage_2_train_labels.csv", "stage_2_train_images/x"),
        "openi": ("ecgen-radiology/1.xml",),
    }
    for name, files in marks.items():
        root = tree(dict.fromkeys(files, ""), name)
        names = sorted(READERS.plugins(), key=lambda reader: reader == "dicom")
        assert next(n for n in names if READERS.get(n).recognises(str(root))) == name
    covid = tree({"metadata.csv": "patientid,offset,sex,age,finding,filename\n", "images/x": ""}, "covid")
    assert READERS.get("covid-chestxray").recognises(str(covid))
    other = tree({"metadata.csv": "id,class\n", "images/x": ""}, "other")
    assert open_reader(str(other))[0] == "dicom"
