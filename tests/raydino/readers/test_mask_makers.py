from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from raydino.readers.mask_makers import FileMask, PolygonMask, RunsMask, UnionMask
from raydino.readers.run_length import ABSOLUTE_BY_ROWS, RELATIVE_BY_COLUMNS


def save(path: Path, pixels: npt.ArrayLike) -> Path:
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


@pytest.mark.parametrize("white", [255, 1])
@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_a_file_at_half_the_size(tmp_path: Path, suffix: str, white: int) -> None:
    path = save(tmp_path / f"m{suffix}", [[0, white, 0], [0, 0, 0]])
    expected = np.zeros((4, 6), bool)
    expected[:2, 2:4] = True
    np.testing.assert_array_equal(FileMask(path, times=2)(), expected)
    np.testing.assert_array_equal(FileMask(path)(), [[False, True, False], [False] * 3])


def test_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "m.gif").write_bytes(b"GIF89a")
    for path in (tmp_path / "m.gif", tmp_path / "gone.gif"):
        with pytest.raises((OSError, ValueError)):
            FileMask(path)()


def test_runs_of_several_rows_of_a_table() -> None:
    mask = RunsMask(("0 1", "4 1"), 2, 3, RELATIVE_BY_COLUMNS)()
    np.testing.assert_array_equal(mask, [[True, False, True], [False, False, False]])
    with pytest.raises(ValueError, match="beyond"):
        RunsMask(("0 1", "9 1"), 2, 3, RELATIVE_BY_COLUMNS)()


def test_a_polygon_has_the_size_of_its_film(tmp_path: Path) -> None:
    film = save(tmp_path / "film.png", np.zeros((7, 9)))
    mask = PolygonMask(((5.2, 1.4), (7.9, 1.0), (8.1, 3.3), (4.8, 2.6)), film)()
    expected = np.zeros((7, 9), bool)
    expected[1:4, 5:9] = True  # columns 5 to 8, rows 1 to 3, their outline included
    np.testing.assert_array_equal(mask, expected)


def test_no_polygon(tmp_path: Path) -> None:
    film = save(tmp_path / "film.png", np.zeros((7, 9)))
    with pytest.raises(ValueError, match="fewer than three"):
        PolygonMask(((1, 1), (2, 2)), film)()
    with pytest.raises(OSError, match="No such file"):
        PolygonMask(((1, 1), (2, 2), (3, 1)), tmp_path / "gone.png")()


def test_a_union(tmp_path: Path) -> None:
    left = FileMask(save(tmp_path / "left.png", [[0, 255]]))
    right = RunsMask(("1 1",), 1, 2, ABSOLUTE_BY_ROWS)
    assert UnionMask((left, right))().tolist() == [[True, True]]
    with pytest.raises(ValueError, match="different sizes"):
        UnionMask((left, RunsMask(("1 1",), 2, 2, ABSOLUTE_BY_ROWS)))()


def test_they_travel() -> None:
    runs = RunsMask(("1 1",), 1, 2, ABSOLUTE_BY_ROWS)
    for maker in (FileMask(Path("x")), runs, PolygonMask(((1, 1),), Path("x")), UnionMask((runs,))):
        assert pickle.loads(pickle.dumps(maker)) == maker  # noqa: S301
