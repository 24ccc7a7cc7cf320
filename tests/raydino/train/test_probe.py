"""The probes against loops and scikit-learn's own, unknown labels, and what is measured where nothing is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from raydino.artifacts.dataset import DATASET, LABELS, Dataset
from raydino.artifacts.header import write_header
from raydino.data.films import whole_film
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.testing.tiny import tiny_dataset
from raydino.train.probe import C_GRID, Probe, choose_c, frozen_features, knn_scores, logistic_scores, macro_auroc

SMALL = ViTConfig(image_size=32, patch_size=8, embed_dim=16, depth=1, n_heads=2, n_registers=1)
SPREAD = {"feature_rank", "patch_rank", "neighbour_distance", "dimension_std", "mean_cosine"}


def small_vit():
    return VisionTransformer(SMALL).initialise(torch.Generator().manual_seed(0))


def test_equals_a_loop():
    rng = np.random.default_rng(0)
    train, query = rng.normal(size=(30, 5)), rng.normal(size=(7, 5))
    labels = rng.integers(0, 2, (30, 3)).astype(float)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    got = knn_scores(train, labels, query, k=6)
    for row, q in enumerate(query):
        similarity = [float(q @ t / np.linalg.norm(q) / np.linalg.norm(t)) for t in train]
        nearest = sorted(range(30), key=lambda i: -similarity[i])[:6]
        for column in range(3):
            votes = [(np.exp(similarity[i] / 0.07), labels[i, column]) for i in nearest]
            known = [(w, y) for w, y in votes if not np.isnan(y)]
            expected = sum(w * y for w, y in known) / sum(w for w, _ in known) if known else 0.5
            assert got[row, column] == pytest.approx(expected)


def test_logistic_scores_leave_out_unknown_labels():
    rng = np.random.default_rng(0)
    train, query = rng.normal(3, 2, size=(60, 4)), rng.normal(3, 2, size=(9, 4))
    labels = np.stack([train[:, 0] > 3, train[:, 1] > 3, np.ones(60)], axis=1).astype(float)
    labels[:20, 1] = np.nan
    got = logistic_scores(train, labels, query, c=0.1)
    mean, std = train.mean(axis=0), train.std(axis=0)
    model = LogisticRegression(C=0.1, max_iter=200).fit(((train - mean) / std)[20:], labels[20:, 1])
    assert got[:, 1] == pytest.approx(model.predict_proba((query - mean) / std)[:, 1], abs=1e-6)
    assert (got[:, 2] == 0.5).all()


def test_c_is_chosen_on_other_patients():
    """Noise in many dimensions wants a strong penalty; films of the choosing patients never enter the fit."""
    rng = np.random.default_rng(0)
    patients = np.repeat([f"p{i:02d}" for i in range(40)], 2)
    labels = rng.integers(0, 2, (80, 1)).astype(float)
    noisy = np.concatenate([labels + rng.normal(0, 1.5, (80, 1)), rng.normal(size=(80, 60))], axis=1)
    expected = []
    held = np.isin(patients, [f"p{i:02d}" for i in range(0, 40, 4)])
    for c in C_GRID:
        scores = logistic_scores(noisy[~held], labels[~held], noisy[held], c=c)
        expected.append(macro_auroc(labels[held], scores))
    assert choose_c(noisy, labels, patients) == C_GRID[int(np.argmax(expected))]
    assert choose_c(noisy[:2], labels[:2], patients[:2]) == C_GRID[0]  # one patient: nothing to choose on


def test_macro_auroc_leaves_out_labels_of_one_class():
    labels = np.array([[0, 1, np.nan], [1, 1, 0], [1, 1, np.nan], [0, 1, 1]], float)
    scores = np.array([[0.1, 0.5, 0.9], [0.8, 0.5, 0.2], [0.05, 0.5, 0.9], [0.06, 0.5, 0.8]])
    assert macro_auroc(labels, scores) == pytest.approx((0.5 + 1.0) / 2)
    assert np.isnan(macro_auroc(labels[:, 1:2], scores[:, 1:2]))


def test_features_are_the_networks(tmp_path):
    dataset, vit = tiny_dataset(tmp_path / "d"), small_vit()
    films = [whole_film(dataset.film(s), 32) for s in dataset.sample_ids("val")]
    views = (np.stack(films) * 255).round().astype(np.uint8)
    got = frozen_features(vit, views, 0.4, 0.2)
    with torch.no_grad():
        tokens = vit((torch.from_numpy(views).float() / 255 - 0.4) / 0.2)
    assert np.array_equal(got.cls, tokens.cls.numpy())
    assert got.patches.shape == (len(views), 16, 16)
    assert got.mean_patch == pytest.approx(tokens.patches.mean(dim=(1, 2)).numpy(), abs=1e-6)


def test_measures_on_validation_films_and_never_on_test(tmp_path):
    dataset, vit = tiny_dataset(tmp_path / "d", n_patients=40), small_vit()
    measured = Probe(dataset, 32, mean=0.4, std=0.25).measure(10, vit, None)
    assert set(measured) == {"knn_auroc", "linear_auroc"} | SPREAD
    assert measured["linear_auroc"] > 0.6  # large hearts and whitened lungs show in random features already

    class WithoutTest(Dataset):
        def sample_ids(self, *splits):
            assert splits
            assert "test" not in splits
            return super().sample_ids(*splits)

    watched = WithoutTest(dataset.path, dataset.header)
    assert Probe(watched, 32, mean=0.4, std=0.25).measure(10, vit, None) == measured


def test_without_labels_only_the_spread(tmp_path):
    dataset = tiny_dataset(tmp_path / "d")
    frame = pd.read_parquet(dataset.path / "labels.parquet")
    frame[list(dataset.label_names)] = np.nan
    LABELS.write(frame, dataset.path / "labels.parquet")
    header = dataset.header
    write_header(dataset.path, DATASET, config=header.config, seed=header.seed)
    unlabelled = Dataset.open(dataset.path)
    assert set(Probe(unlabelled, 32, mean=0.4, std=0.25).measure(1, small_vit(), None)) == SPREAD
