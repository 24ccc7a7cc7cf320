"""Nearest films are those of a plain loop, with what the dataset knows of them; strange features are refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from adapters.serving import similar
from adapters.serving.similar import SimilarFilms
from raydino.artifacts.dataset import Dataset
from raydino.data.one_film import OneFilm
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import embed
from raydino.testing.tiny import tiny_dataset


@pytest.fixture(scope="module")
def artifact(encoder: Encoder, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embedded") / "features"
    embed(path, encoder, dataset, blocks=(-2, -1))
    return path


@pytest.mark.parametrize("block", [7, 65_536])
def test_it_finds_what_a_loop_finds(
    artifact: Path, encoder: Encoder, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(similar, "_BLOCK", block)
    films = SimilarFilms.open(artifact, encoder.spec.fingerprint, dataset.path)
    vector = np.random.default_rng(0).normal(size=films.tokens.shape[1]).astype(np.float32)
    cosines = {
        sample_id: float(np.dot(token.astype(float), vector) / np.linalg.norm(token.astype(float)))
        / float(np.linalg.norm(vector))
        for sample_id, token in zip(films.sample_ids, films.tokens, strict=True)
    }
    found = films.nearest(vector, 6)
    assert len({film.sample_id for film in found}) == 6
    np.testing.assert_allclose([film.similarity for film in found], sorted(cosines.values())[:-7:-1], atol=1e-6)
    for film in found:
        assert film.similarity == pytest.approx(cosines[film.sample_id], abs=1e-6)
    known = dataset.labels.loc[found[0].sample_id]
    for label, value in found[0].labels.items():
        assert value == (None if np.isnan(known[label]) else known[label])
    assert len(films.nearest(vector, 1000)) == len(films.sample_ids)


def test_the_vector_is_what_the_features_hold(artifact: Path, encoder: Encoder, dataset: Dataset) -> None:
    """At their size and of their blocks."""
    films = SimilarFilms.open(artifact, encoder.spec.fingerprint)
    sample_id = films.sample_ids[3]
    vector = films.vector(encoder, OneFilm(dataset.film(sample_id), None))
    assert vector.shape == (2 * encoder.spec.embed_dim,)
    np.testing.assert_allclose(vector, films.tokens[3], atol=1e-5)
    (first,) = films.nearest(vector, 1)
    assert first.labels == {}
    assert first.similarity == pytest.approx(1, abs=1e-5)
    assert films.picture(sample_id) is None


def test_tokens_of_no_length_are_like_nothing_and_ties_stand_in_order() -> None:
    tokens = np.array([[0, 0], [2, 0], [1, 0], [np.nan, 0], [-1, 0]], np.float32)
    lengths = np.linalg.norm(tokens, axis=1).astype(np.float32)
    films = SimilarFilms(("zero", "one", "two", "broken", "against"), tokens, lengths, (-1,), None, None)
    found = [(film.sample_id, film.similarity) for film in films.nearest(np.array([5, 0], np.float32), 5)]
    assert found == [("one", 1.0), ("two", 1.0), ("zero", 0.0), ("against", -1.0)]
    with pytest.raises(UserError, match="is compared with"):
        films.nearest(np.zeros(3, np.float32))


def test_pictures_are_small_and_grey(artifact: Path, encoder: Encoder, dataset: Dataset) -> None:
    films = SimilarFilms.open(artifact, encoder.spec.fingerprint, dataset.path)
    png = films.picture(films.sample_ids[0])
    assert png is not None
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(picture, dataset.film(films.sample_ids[0]))  # smaller than a picture already
    with pytest.raises(UserError, match="no accepted film"):
        films.picture("../secret")


def test_features_of_others_are_refused(artifact: Path, encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="of another encoder"):
        SimilarFilms.open(artifact, "f" * 64)
    other = tiny_dataset(tmp_path / "other", n_patients=3, seed=5)
    with pytest.raises(UserError, match="of another dataset"):
        SimilarFilms.open(artifact, encoder.spec.fingerprint, other.path)
    with pytest.raises(UserError):
        SimilarFilms.open(other.path, encoder.spec.fingerprint)
