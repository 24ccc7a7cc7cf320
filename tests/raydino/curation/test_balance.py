"""What curation is for: rare kinds gain share, in a mixture with a long tail and in embeddings of reports."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from raydino.curation.hierarchy import LevelRecipe, build
from raydino.curation.sampling import balanced_weights, flat_sample, hierarchical_sample
from raydino.phantom.findings import (
    CARDIOMEGALY,
    CONSOLIDATION,
    EFFUSION,
    NO_FINDING,
    NODULE,
    PNEUMOTHORAX,
    sample_findings,
)
from raydino.phantom.report_text import report_text

N_COMPONENTS = 30
ARCHIVE = {NO_FINDING: 1200, EFFUSION: 300, CARDIOMEGALY: 60, CONSOLIDATION: 30, NODULE: 20, PNEUMOTHORAX: 20}
RARE = (CARDIOMEGALY, CONSOLIDATION, NODULE, PNEUMOTHORAX)


def zipf_mixture(seed: int, n: int = 4000, dimensions: int = 16) -> tuple[npt.NDArray[np.float32], npt.NDArray]:
    """Gaussian heaps of which the k-th has a share ∝ 1/k, and the heap of each vector."""
    rng = np.random.default_rng([seed, 1])
    share = 1 / np.arange(1, N_COMPONENTS + 1)
    heap = rng.choice(N_COMPONENTS, n, p=share / share.sum())
    means = rng.normal(size=(N_COMPONENTS, dimensions))
    return (means[heap] + 0.4 * rng.normal(size=(n, dimensions))).astype(np.float32), heap


def kl_to_uniform(heaps: npt.NDArray, weights: npt.NDArray | None = None) -> float:
    """Nats."""
    p = np.bincount(heaps, weights, N_COMPONENTS)
    p = p[p > 0] / p.sum()
    return float((p * np.log(p * N_COMPONENTS)).sum())


def test_a_curated_sample_is_closer_to_uniform_than_random_and_flat_k_means() -> None:
    """Margins: less than a quarter of random's distance, and half of that of flat k-means, which is told as many
    clusters as the finest level has, or as there are heaps."""
    levels = [LevelRecipe(n_clusters=k, n_resamplings=4, n_iterations=10) for k in (200, 60, 30)]
    found = []
    for seed in range(3):
        vectors, heap = zipf_mixture(seed)
        curated = build(vectors, levels, seed=seed)
        plain = [
            build(vectors, [LevelRecipe(n_clusters=k, n_resamplings=0, n_iterations=10)], seed=seed)
            for k in (200, N_COMPONENTS)
        ]
        rows = [
            hierarchical_sample(curated, 400, seed=seed),
            np.random.default_rng(seed).choice(len(heap), 400, replace=False),
            *(flat_sample(one, 400, seed=seed) for one in plain),
        ]
        weighted = kl_to_uniform(heap, balanced_weights(curated))
        found.append([weighted, *(kl_to_uniform(heap[r]) for r in rows)])
    weighted, sampled, random, as_fine, as_many = np.mean(found, axis=0)
    assert sampled < 0.25 * random
    assert sampled < 0.5 * as_fine
    assert sampled < 0.5 * as_many
    assert weighted < 0.25 * random


def reports(seed: int) -> tuple[list[str], npt.NDArray[np.str_]]:
    """An archive of reports with one finding or none, in the numbers of ARCHIVE, and what is found in each."""
    rng = np.random.default_rng(seed)
    left = dict(ARCHIVE)
    texts, kinds = [], []
    while any(left.values()):
        findings = sample_findings(rng, 0.45)
        present = [name for name, is_so in findings.present().items() if is_so]
        if len(present) == 1 and left[present[0]]:
            left[present[0]] -= 1
            texts.append(report_text(rng, findings, "PA"))
            kinds.append(present[0])
    return texts, np.array(kinds)


@pytest.mark.parametrize("seed", [0, 1])
def test_rare_kinds_of_report_gain_share(seed: int) -> None:
    """Words alone, no label: reports of rare findings become at least twice as frequent, none is lost."""
    texts, kinds = reports(seed)
    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)
    embedded = normalize(TruncatedSVD(128, random_state=seed).fit_transform(words)).astype(np.float32)
    levels = [LevelRecipe(n_clusters=share, n_resamplings=5, n_iterations=10) for share in (0.1, 0.02)]
    curated = build(embedded, levels, seed=seed)
    is_rare = np.isin(kinds, RARE)
    rows = hierarchical_sample(curated, 200, seed=seed)
    assert is_rare.mean() == pytest.approx(130 / 1630)
    assert is_rare[rows].mean() > 2 * is_rare.mean()
    assert balanced_weights(curated)[is_rare].sum() > 2 * is_rare.mean()
    assert set(kinds[rows].tolist()) == set(ARCHIVE)
