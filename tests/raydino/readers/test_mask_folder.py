from __future__ import annotations

from pathlib import Path

import pytest

from raydino.errors import UserError
from raydino.readers.mask_folder import MaskFolder


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_masks_of_a_film(tmp_path: Path) -> None:
    lungs = touch(tmp_path / "masks" / "lungs" / "1.2.3.png")
    named = touch(tmp_path / "masks" / "heart" / "deep" / "a.png")
    (tmp_path / "masks" / "empty").mkdir()
    masks = MaskFolder.open(tmp_path / "masks")
    assert masks.structures == ("heart", "lungs")
    assert masks.of("1.2.3", "deep/a.dcm") == {"lungs": lungs}
    assert masks.of("", "deep/a.jpg") == {"heart": named}
    assert masks.count() == 2


def test_a_made_up_uid_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "secret.png")
    touch(tmp_path / "masks" / "lungs" / "1.png")
    assert MaskFolder.open(tmp_path / "masks").of("../../secret", "x") == {}


def test_no_masks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such directory"):
        MaskFolder.open(tmp_path / "gone")
    with pytest.raises(UserError, match="holds no masks"):
        MaskFolder.open(tmp_path)
