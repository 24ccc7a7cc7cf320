from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.base import ReaderOptions
from raydino.readers.dicom_tree import DicomTree


def test_every_file_but_indexes_and_hidden_ones_in_order(tmp_path: Path) -> None:
    for name in ("b/IM1", "a.dcm", "b/c/x.txt", "DICOMDIR", "b/dicomdir", ".hidden", ".git/x"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    reader = DicomTree(str(tmp_path), ReaderOptions())
    images = list(reader.images())
    assert [image.name for image in images] == ["a.dcm", "b/IM1", "b/c/x.txt"]
    assert reader.total() == 3
    assert all(image.is_dicom and image.path == tmp_path / image.name for image in images)


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no DICOM file found: the directory is empty"):
        DicomTree(str(tmp_path), ReaderOptions())
