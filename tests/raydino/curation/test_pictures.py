"""Thumbnails keep a film's shape and brightness; the plots are pictures of what they are given."""

from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from raydino.curation.pictures import THUMBNAIL_SIDE, draw_contact_sheet, draw_sizes, jpeg, thumbnails
from raydino.curation.tree import Cluster, Sizes, Tree


def dataset_of(film: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(accepted=pd.DataFrame(index=["known"]), film=lambda sample_id: film)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_film_lies_whole_in_the_middle(dtype):
    film = np.full((200, 100), np.iinfo(dtype).max // 2, dtype)
    pictures = thumbnails(dataset_of(film), ["known", "stranger", "known"])
    assert list(pictures) == ["known"]
    picture = pictures["known"]
    assert picture.shape == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    quarter = THUMBNAIL_SIDE // 4
    assert set(np.unique(picture[:, quarter:-quarter])) <= {127, 128}
    assert (picture[:, :quarter] == 0).all()
    assert (picture[:, -quarter:] == 0).all()
    back = cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_UNCHANGED)
    assert back.shape == picture.shape
    assert np.abs(back.astype(int) - picture).mean() < 3


@pytest.mark.parametrize("n_clusters", [1, 50, 3000])
def test_sizes_are_drawn_for_any_number_of_clusters(tmp_path, n_clusters):
    before = np.arange(n_clusters, 0, -1) ** 2
    after = np.minimum(before, 3) * (np.arange(n_clusters) != 1)
    draw_sizes(Sizes(2, before, after, after / after.sum()), tmp_path / "sizes.png")
    assert cv2.imread(str(tmp_path / "sizes.png")) is not None


def test_a_contact_sheet_marks_selected_films_in_blue(tmp_path):
    def blue(selected: list[bool]) -> int:
        cluster = Cluster(1, 0, 2, sum(selected), 1.0, 1.0, (0, 1), 0, ())
        pictures = {"a": np.full((104, 104), 90, np.uint8)}  # none of "b"
        draw_contact_sheet(Tree(1, (cluster,), (), (0,)), ["a", "b"], np.array(selected), pictures, tmp_path / "c.png")
        sheet = cv2.imread(str(tmp_path / "c.png")).astype(int)
        return int((sheet[..., 0] - sheet[..., 2] > 100).sum())

    none, one, two = blue([False, False]), blue([True, False]), blue([True, True])
    assert none == 0
    assert two == pytest.approx(2 * one, rel=0.05)
    assert one > 0
