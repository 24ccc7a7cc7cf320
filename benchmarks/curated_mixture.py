"""How near to uniform does a curated sample come, where the truth is known?

    .venv/bin/python benchmarks/curated_mixture.py [--quick] [--seeds N]

Gaussian heaps in 32 dimensions, the k-th with a share ∝ 1/k (Zipf); a tenth of the vectors is sampled. Told of each
way of sampling: the Kullback-Leibler distance of the sample's heaps from uniform (nats), the share of the rarer half
of the heaps, and how many heaps are lost. The limit is fair shares over the true heaps; the peers are a random sample
and flat k-means without resampling, with as many clusters as the finest level and with as many as there are heaps. The
three levels have N / 20 clusters, three a heap and one a heap; four levels show what a top of too few costs.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raydino.curation.fair_shares import fair_shares
from raydino.curation.hierarchy import LevelRecipe, build
from raydino.curation.sampling import balanced_weights, flat_sample, hierarchical_sample

DIMENSIONS, SPREAD = 32, 0.5
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


def zipf_mixture(seed: int, n_vectors: int, n_heaps: int) -> tuple[npt.NDArray[np.float32], I64]:
    """Vectors [N, D] and the heap of each; the means are standard normal, the heaps have a deviation of SPREAD."""
    rng = np.random.default_rng([seed, 1])
    share = 1 / np.arange(1, n_heaps + 1)
    heap = rng.choice(n_heaps, n_vectors, p=share / share.sum())
    means = rng.normal(size=(n_heaps, DIMENSIONS))
    return (means[heap] + SPREAD * rng.normal(size=(n_vectors, DIMENSIONS))).astype(np.float32), heap


def shares_of_heaps(seed: int, n_vectors: int, n_heaps: int) -> dict[str, F64]:
    """For each way of sampling what each heap gets [heaps]; counts, or for weights the expected ones."""
    vectors, heap = zipf_mixture(seed, n_vectors, n_heaps)
    budget = n_vectors // 10

    def counts(rows: I64) -> F64:
        return np.bincount(heap[rows], minlength=n_heaps).astype(float)

    def recipes(*sizes: int, **fields: object) -> list[LevelRecipe]:
        return [LevelRecipe.model_validate({"n_clusters": k, "n_iterations": 20, **fields}) for k in sizes]

    sizes = (n_vectors // 20, 3 * n_heaps, n_heaps)
    with tempfile.TemporaryDirectory() as work:  # hierarchies that begin alike share their first level through it
        curated = build(vectors, recipes(*sizes), seed=seed, work=Path(work))
        coarse = build(vectors, recipes(*sizes, n_heaps // 10), seed=seed, work=Path(work))
    plain = build(vectors, recipes(*sizes, n_resamplings=0), seed=seed)
    drawn = build(vectors, recipes(*sizes, sample="random"), seed=seed)
    parts = build(vectors, [*recipes(sizes[0], n_parts=10), *recipes(*sizes[1:])], seed=seed)
    told = build(vectors, recipes(n_heaps, n_resamplings=0), seed=seed)
    rng = np.random.default_rng(seed)
    whole = np.bincount(heap, minlength=n_heaps).astype(np.int64)
    return {
        "random": counts(rng.choice(n_vectors, budget, replace=False)),
        "flat k-means, K of the finest level": counts(flat_sample(plain, budget, seed=seed)),
        "flat k-means, K = heaps": counts(flat_sample(told, budget, seed=seed)),
        "finest level with resampling, flat": counts(flat_sample(curated, budget, seed=seed)),
        "3 levels, no resampling": counts(hierarchical_sample(plain, budget, seed=seed)),
        "3 levels": counts(hierarchical_sample(curated, budget, seed=seed)),
        "3 levels, random resampling": counts(hierarchical_sample(drawn, budget, seed=seed)),
        "3 levels, the first in 10 parts": counts(hierarchical_sample(parts, budget, seed=seed)),
        "4 levels, the top of heaps / 10": counts(hierarchical_sample(coarse, budget, seed=seed)),
        "3 levels, balanced weights": np.bincount(heap, balanced_weights(curated), n_heaps) * budget,
        "limit: the true heaps": fair_shares(whole, np.array([budget]), np.zeros(n_heaps, np.int64), rng).astype(float),
    }


def kl_to_uniform(shares: F64) -> float:
    """Nats."""
    p = shares[shares > 0] / shares.sum()
    return max(0.0, float((p * np.log(p * len(shares))).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, help="5, with --quick 2")
    options = parser.parse_args()
    n_vectors, n_heaps, n_seeds = (4000, 40, 2) if options.quick else (10_000, 60, 5)
    n_seeds = options.seeds or n_seeds
    start = time.perf_counter()
    found = [shares_of_heaps(seed, n_vectors, n_heaps) for seed in range(n_seeds)]
    print(f"{n_vectors:,} vectors of {n_heaps} heaps, a tenth is sampled, {n_seeds} seeds: mean (lowest to highest)")
    print(f"{'':38}KL to uniform, nats      rarer half  heaps lost")
    distances = {}
    for way in found[0]:
        kl = [kl_to_uniform(one[way]) for one in found]
        rarer = np.mean([one[way][n_heaps // 2 :].sum() / one[way].sum() for one in found])
        lost = np.mean([(one[way] == 0).sum() for one in found])
        distances[way] = float(np.mean(kl))
        print(f"{way:36}{np.mean(kl):8.3f} ({min(kl):.3f} to {max(kl):.3f}){rarer:14.1%}{lost:12.1f}")
    result = {
        "benchmark": "curated_mixture",
        "machine": platform.processor() or platform.machine(),
        "config": {"vectors": n_vectors, "heaps": n_heaps, "seeds": n_seeds, "dimensions": DIMENSIONS},
        "kl_nats": {way: round(value, 4) for way, value in distances.items()},
        "ratios": {
            "to_random": round(distances["3 levels"] / distances["random"], 4),
            "to_flat_k_means": round(distances["3 levels"] / distances["flat k-means, K of the finest level"], 4),
            "to_flat_k_means_told_the_heaps": round(distances["3 levels"] / distances["flat k-means, K = heaps"], 4),
        },
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
