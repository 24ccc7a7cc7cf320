import numpy as np
import pytest

from adapters.segmentation.metrics import mask_metrics


def _box(top: int, left: int, rows: int, cols: int) -> np.ndarray:
    mask = np.zeros((32, 40), bool)
    mask[top : top + rows, left : left + cols] = True
    return mask


def test_a_shifted_square() -> None:
    """A 10 × 10 square moved by 2 columns: 80 pixels shared, every surface distance at most 2 pixels."""
    figures = mask_metrics(_box(5, 5, 10, 10), _box(5, 7, 10, 10), spacing_mm=0.5)
    assert figures.dice == pytest.approx(0.8)
    assert figures.iou == pytest.approx(80 / 120)
    assert figures.hd95_mm == pytest.approx(1.0)  # 2 pixels of 0.5 mm
    # outline of 36 pixels: the 10 of one side are 2 px away, of top and bottom only the outermost two are off
    distances = [2.0] * 10 + [1.0] * 2 + [0.0] * 16 + _inner_side()
    assert figures.assd_mm == pytest.approx(0.5 * np.mean(distances))


def _inner_side() -> list[float]:
    """The side that came to lie inside the other square: 2 px from its side, nearer to its top and bottom."""
    return [0.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0, 0.0][1:9]


def test_identical_empty_and_one_sided_masks() -> None:
    empty, box = np.zeros((32, 40), bool), _box(3, 4, 6, 7)
    assert mask_metrics(box, box, 0.3) == (1.0, 1.0, 0.0, 0.0)
    assert mask_metrics(empty, empty, 0.3) == (1.0, 1.0, 0.0, 0.0)
    assert mask_metrics(empty, box, 0.3) == (0.0, 0.0, None, None)
    assert mask_metrics(box, empty, 0.3) == (0.0, 0.0, None, None)


def test_without_spacing_there_are_no_millimetres() -> None:
    assert mask_metrics(_box(0, 0, 4, 4), _box(0, 0, 4, 2), None)[2:] == (None, None)
    assert mask_metrics(_box(0, 0, 4, 4), _box(0, 0, 4, 2), None).dice == pytest.approx(16 / 24)
