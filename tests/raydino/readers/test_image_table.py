from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions
from raydino.readers.image_table import ImageTable


def test_rows_become_images(tmp_path: Path) -> None:
    (tmp_path / "images.csv").write_text("file,patient_id,split,Nodule,note\nb.png,P2,,1,x\na.png,P1,train,,y\n")
    reader = ImageTable(str(tmp_path), ReaderOptions())
    first, second = reader.images()
    assert (first.name, first.path, first.is_dicom) == ("a.png", tmp_path / "a.png", False)
    assert (first.known.patient_id, first.known.split, first.labels) == ("P1", "train", {"Nodule": None})
    assert second.labels == {"Nodule": 1.0}
    assert reader.labels == ("Nodule",)
    assert list(reader.left_out) == ["note"]
    assert reader.total() == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,patient_id\n", "lists no image"),
        ("file\na.png\n", "patient_id is empty"),
        ("file,patient_id\na.png,P\nb.png,\n", "line 3: patient_id is empty"),
        ("file,patient_id\n../a.png,P\n", "line 2: file must be a path below the source"),
        ("file,patient_id\n/etc/a.png,P\n", "line 2: file must be a path below the source"),
        ("sop_instance_uid,patient_id\n1,P\n", "lacks a column file"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "images.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        ImageTable(str(tmp_path), ReaderOptions())
    assert message in str(caught.value)
