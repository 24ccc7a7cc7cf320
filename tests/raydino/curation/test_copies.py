import cv2
import numpy as np
import pytest

from raydino.curation.copies import calibrate_vectors, find_copies, nearest_strangers
from raydino.curation.duplicates import Pairs, Pool, deduplicate
from raydino.curation.neighbours import nearest_neighbours
from raydino.curation.pair_sheet import write_pair_sheet
from raydino.curation.recoding import RECODINGS
from raydino.curation.registration import registered_similarities
from raydino.curation.thumbnails import SIDE, Descriptor, shifted, thumbnail, thumbnails
from raydino.errors import UserError


def texture(seed, side=96):
    rng = np.random.default_rng(seed)
    return sum(cv2.GaussianBlur(rng.normal(size=(side, side)), (0, 0), s) * s for s in (1.5, 3, 8))


def film_of(seed, dtype=np.uint8):
    """Without anatomy: smooth noise of several scales, much of it the same in all films."""
    values = texture(10_000) + 0.8 * texture(seed)
    values = (values - values.min()) / np.ptp(values)
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


def laid(one, other):
    return float(registered_similarities(thumbnail(one)[None], thumbnail(other)[None], np.zeros((1, 2), np.int64))[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", list(RECODINGS))
def test_a_recoding_changes_the_film_and_not_what_it_shows(kind, dtype):
    film = film_of(1, dtype)
    copy = RECODINGS[kind](film, np.random.default_rng(3))
    again = RECODINGS[kind](film, np.random.default_rng(3))
    assert copy.tobytes() == again.tobytes()
    assert copy.shape != film.shape or (copy != film).any()
    assert copy.ndim == 2
    assert copy.dtype in (film.dtype, np.uint8)
    assert laid(film, copy) > 0.75 > laid(film, film_of(2, dtype))


def test_a_thumbnail_is_the_film_by_area_whatever_its_depth():
    film = film_of(3, np.uint8)
    expected = cv2.resize(film.astype(np.float64), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(thumbnail(film), expected, atol=0.51)
    np.testing.assert_allclose(thumbnail(film.astype(np.uint16) * 257), thumbnail(film), atol=1)


def test_registration_finds_a_known_place():
    film = film_of(4)
    assert laid(film, film) == pytest.approx(1, abs=1e-5)
    turned = cv2.warpAffine(film, cv2.getRotationMatrix2D((48, 48), 2, 1.04), film.shape, borderMode=cv2.BORDER_REFLECT)
    straight = np.corrcoef(thumbnail(film).ravel(), thumbnail(turned).ravel())[0, 1]
    assert laid(film, turned) > 0.9
    assert straight < 0.95


def test_a_blank_film_is_like_none():
    blank = np.full((96, 96), 7, np.uint8)
    assert laid(blank, film_of(1)) < 0.1
    assert laid(film_of(1), blank) < 0.1


def test_the_vectors_are_white_and_do_not_know_the_window():
    films = [film_of(seed) for seed in range(40)]
    pictures = thumbnails(iter(films), 40)
    describe = Descriptor.fit(pictures, seed=0)
    vectors = describe(pictures)
    centred = vectors - vectors.mean(0)
    np.testing.assert_allclose(centred.T @ centred / 40, np.eye(vectors.shape[1]), atol=0.03)
    darker = describe(np.rint(pictures * 0.7).astype(np.uint8))
    found = nearest_neighbours(darker, vectors, k=1)
    assert (found.rows[:, 0] == np.arange(40)).all()


def test_shifted_views_are_the_picture_moved():
    picture = thumbnail(film_of(5))[None]
    same, *moved = shifted(picture)
    assert (same == picture).all()
    assert len(moved) == 4
    assert (moved[0][0, 2:, 2:] == picture[0, :-2, :-2]).all()


@pytest.fixture(scope="module")
def archive():
    """44 films of 44 patients; the last four are copies of the first four."""
    films = [film_of(seed) for seed in range(40)]
    films += [RECODINGS[kind](films[i], np.random.default_rng(100 + i)) for i, kind in enumerate(list(RECODINGS)[:4])]
    pool = Pool([f"id{i:02d}" for i in range(44)], [f"p{i}" for i in range(44)], sizes=[film.size for film in films])
    return films, pool, find_copies(films, pool, seed=0, k=6, false_merge_rate=0.12)


def test_copies_are_found_from_films_alone(archive):
    _, pool, copies = archive
    assert copies.calibration.separates
    assert copies.calibration.recall > 0.9
    found = deduplicate(pool, copies.pairs, copies.calibration.threshold)
    assert sorted(map(tuple, found.pairs.rows.tolist())) == [(i, 40 + i) for i in range(4)]
    assert np.flatnonzero(~found.kept).tolist() == [40, 41, 42, 43]


def test_the_same_again_is_the_same(archive):
    films, pool, copies = archive
    again = find_copies(films, pool, seed=0, k=6, false_merge_rate=0.12)
    assert again.pairs.similarities.tobytes() == copies.pairs.similarities.tobytes()
    assert again.calibration == copies.calibration


def test_films_and_ids_of_different_numbers():
    with pytest.raises(UserError, match="1 films for 2 ids"):
        find_copies([film_of(1)], Pool(["a", "b"]), seed=0)


def test_strangers_are_the_best_of_other_patients():
    pairs = Pairs(np.array([[0, 1], [0, 2], [1, 2]]), np.array([0.9, 0.4, 0.6], np.float32))
    np.testing.assert_allclose(nearest_strangers(pairs, Pool(list("abcd"), list("ppqr"))), [0.4, 0.6, 0.6])


def test_vectors_are_calibrated_by_their_cosines():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 16)).astype(np.float32)
    pool = Pool([str(i) for i in range(400)])
    pairs = Pairs.of(nearest_neighbours(vectors, k=5))
    rows = np.arange(0, 400, 2)
    close = {"noisy": vectors[rows] + 0.1 * rng.normal(size=(200, 16)).astype(np.float32)}
    found = calibrate_vectors(vectors, pool, pairs, close, rows, false_merge_rate=0.01)
    assert found.separates
    assert found.recall == 1
    far = {"noisy": vectors[rows] + 2 * rng.normal(size=(200, 16)).astype(np.float32)}
    assert not calibrate_vectors(vectors, pool, pairs, far, rows, false_merge_rate=0.01).separates


def test_the_sheet_of_pairs_is_a_picture_without_ids(archive, tmp_path):
    films, pool, copies = archive
    write_pair_sheet(tmp_path / "pairs.png", films, pool, copies.pairs, copies.calibration.threshold, of_each=3)
    picture = cv2.imread(str(tmp_path / "pairs.png"))
    assert picture is not None
    assert picture.shape[0] > 300
    write_pair_sheet(tmp_path / "none.png", films, pool, copies.pairs.where(np.zeros(len(copies.pairs), bool)), 0.5)
    with pytest.raises(UserError, match="cannot be written"):
        write_pair_sheet(tmp_path / "no" / "x.png", films, pool, copies.pairs, 0.5)
