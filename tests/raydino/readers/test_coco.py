from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raydino.errors import UserError
from raydino.readers import coco
from raydino.readers.coco import CocoIndex, CocoMask


def annotation(number: int, image: int, category: int, counts: Any, size: tuple[int, int] = (2, 3)) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": {"size": list(size), "counts": counts},
        "bbox": [0, 0, 1, 1],
    }


# Down the columns of 2 × 3 pixels.
TOP_LEFT, LOWER_RIGHT = [0, 1, 5], [5, 1]
DATA: dict[str, Any] = {
    "info": "PAX-Ray++, v2",
    "licenses": [],
    "version": 2.5,
    "annotations": [
        annotation(1, 8, 2, LOWER_RIGHT),
        annotation(2, 7, 1, TOP_LEFT),
        annotation(3, 7, 2, "51"),  # LOWER_RIGHT, compressed
        annotation(4, 7, 1, LOWER_RIGHT),
    ],
    "images": [
        {"id": 7, "file_name": "é \u4e00.png"},
        {"id": 8, "file_name": "b.png"},
        {"id": 9, "file_name": "c.png"},
    ],
    "categories": [{"id": 1, "name": "left lung "}, {"id": 2, "name": "heart"}],
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_masks_are_found_again_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, escaped: bool, chunk: int
) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(DATA, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    monkeypatch.setattr(coco, "_CHUNK", chunk)
    index = CocoIndex(path)
    assert index.images == {7: "é \u4e00.png", 8: "b.png", 9: "c.png"}
    masks = index.masks(7)
    assert list(masks) == ["left lung", "heart"]
    np.testing.assert_array_equal(masks["left lung"](), [[True, False, False], [False, False, True]])
    np.testing.assert_array_equal(masks["heart"](), [[False, False, False], [False, False, True]])
    assert list(index.masks(8)) == ["heart"]
    assert index.masks(9) == index.masks(10) == {}
    assert pickle.loads(pickle.dumps(masks["heart"])) == masks["heart"]  # noqa: S301


def test_what_is_no_run_length_mask(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    polygon = annotation(1, 7, 1, TOP_LEFT) | {"segmentation": [[0, 0, 1, 1, 0, 1]]}
    wrong = annotation(2, 8, 1, [0, 1, 9])
    path.write_text(json.dumps(DATA | {"annotations": [polygon, wrong, annotation(3, 9, 1, TOP_LEFT)]}))
    index = CocoIndex(path)
    with pytest.raises(ValueError, match="not a COCO run-length mask"):
        index.masks(7)["left lung"]()
    with pytest.raises(ValueError, match="do not add up"):
        index.masks(8)["left lung"]()
    mask = index.masks(9)["left lung"]
    both = CocoMask(path, (*mask.spans, _span(tmp_path / "other.json", path)))
    with pytest.raises(ValueError, match="different sizes"):
        both()
    path.write_text("{}")
    with pytest.raises(ValueError, match="Expecting value"):
        mask()


def _span(scratch: Path, path: Path) -> tuple[int, int]:
    """Where a mask of another size was appended to ``path``."""
    text = json.dumps(annotation(9, 9, 1, [3, 1], (1, 4)))
    offset = path.stat().st_size
    path.write_text(path.read_text() + text)
    return offset, len(text)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"images": [{"id": 1}]}',
        '{"images": [1]}',
        '{"annotations": [{"image_id": "x", "category_id": 1}]}',
        '{"annotations": [{"image_id": 1, "category_id": 1}',
        '{"annotations" [] }',
    ],
)
def test_no_coco_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=r"is no COCO file \(images, categories, annotations\)"):
        CocoIndex(tmp_path / "x.json")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        CocoIndex(tmp_path / "x.json")


def test_a_broken_file_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "_CHUNK", 64)
    monkeypatch.setattr(coco, "_LONGEST", 256)
    (tmp_path / "x.json").write_text('{"annotations": [{"a": ' + "x" * 100_000)
    window = coco._Window((tmp_path / "x.json").open("rb"))
    window.expect("{")
    window.value()
    window.expect(":")
    window.expect("[")
    with pytest.raises(ValueError, match="Expecting value"):
        window.value()
    assert window._file.tell() < 1_000
