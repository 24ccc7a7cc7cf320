"""k-means to its final assignment, seeding included, against bare matrix products, faiss and scikit-learn.

The bare products: ten times N x D x K in bf16 (fp32 where the CPU has no bf16) by torch.mm over all vectors, operands
ready and the result's memory at hand, at the fastest of three block sizes. The same at the best rate that torch.mm
reached at any moment of this run is told too; a shared host may give that for milliseconds only. raydino does some
twelve products (a seeding's worth, ten iterations, the final assignment is the last of these) and everything else.
faiss runs with random initialisation and with its k-means++, scikit-learn with its k-means++, both with ten iterations
and without an early end. Inertia is that of everybody's final centroids, computed alike (exact, float64). Ours, faiss
and the products take turns, the products before everybody; figures are medians over rounds; scikit-learn runs
once. Where others use the machine its speed changes within seconds: take ten rounds and more, without faiss.

Data: ``mixture`` draws from 5,000 Gaussians around random points of the unit sphere, with Zipf's weights 1/rank and a
noise as long as the centres, normalised again; ``noise`` is uniform on the sphere. Growth: N and K are halved and
doubled. Memory: a process of its own clusters a memory-mapped float16 file; counted is the peak of its anonymous
memory (RssAnon) above what it had before, so that the file's pages in the cache do not count.

    python benchmarks/kmeans.py                N = 200,000, D = 384, K = 2,000; scikit-learn takes minutes
    python benchmarks/kmeans.py --only mixture --no-sklearn --no-faiss --rounds 12       against the products alone
    python benchmarks/kmeans.py --quick        N = 20,000, K = 500: about a minute of one core
    python benchmarks/kmeans.py --threads 1 --clock process      where others use the machine too
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from anonymous_memory import growth_mib
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from raydino.curation.kmeans import kmeans, nearest
from raydino.train.precision import has_bf16, keep_freed_memory

CLOCKS = {"wall": time.perf_counter, "process": time.process_time}
COMPONENTS, SEED = 5000, 0


def mixture(n: int, dim: int) -> np.ndarray:
    rng = np.random.default_rng(SEED)
    centres = sphere(rng.standard_normal((COMPONENTS, dim), dtype=np.float32))
    weights = 1 / np.arange(1, COMPONENTS + 1)
    vectors = rng.standard_normal((n, dim), dtype=np.float32) / np.float32(dim**0.5)
    vectors += centres[rng.choice(COMPONENTS, n, p=weights / weights.sum())]
    return sphere(vectors)


def noise(n: int, dim: int) -> np.ndarray:
    return sphere(np.random.default_rng(SEED).standard_normal((n, dim), dtype=np.float32))


def sphere(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def with_raydino(vectors: np.ndarray, k: int, iterations: int) -> np.ndarray:
    return kmeans(vectors, k, seed=SEED, n_iterations=iterations).centroids


def bare_products(
    vectors: np.ndarray, k: int, iterations: int, dtype: torch.dtype, clock: Callable[[], float]
) -> float:
    """Seconds of ``iterations`` products of all ``vectors`` with ``k`` of them, at the fastest of three block sizes."""
    left, taken = torch.from_numpy(vectors).to(dtype), []
    right = left[:k].T.contiguous()
    for rows in (1024, 2048, 4096):
        result = torch.empty(rows, k, dtype=dtype)
        started = clock()
        for _ in range(iterations):
            for block in left.split(rows):
                torch.mm(block, right, out=result[: len(block)])
        taken.append(clock() - started)
    return min(taken)


def with_faiss(vectors: np.ndarray, k: int, iterations: int, method: int) -> np.ndarray:
    parameters = faiss.ClusteringParameters()
    parameters.niter, parameters.seed, parameters.init_method = iterations, SEED + 1, method
    parameters.min_points_per_centroid, parameters.max_points_per_centroid = 1, len(vectors)
    clustering = faiss.Clustering(vectors.shape[1], k, parameters)
    clustering.train(vectors, faiss.IndexFlatL2(vectors.shape[1]))
    return faiss.vector_to_array(clustering.centroids).reshape(k, -1)


def with_sklearn(vectors: np.ndarray, k: int, iterations: int) -> np.ndarray:
    return (
        KMeans(k, init="k-means++", n_init=1, max_iter=iterations, tol=0, random_state=SEED)
        .fit(vectors)
        .cluster_centers_
    )


CONTESTANTS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "raydino": with_raydino,
    "faiss": lambda *task: with_faiss(*task, faiss.ClusteringInitMethod_RANDOM),
    "faiss_kmeanspp": lambda *task: with_faiss(*task, faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS),
}


def best_product_rate(dim: int, k: int, dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """The best rate of torch.mm, in FLOP/s, over block sizes and with the result's memory at hand."""
    best = 0.0
    for rows in (512, 1024, 2048, 4096):
        left, right = torch.randn(rows, dim).to(dtype), torch.randn(k, dim).to(dtype)
        result = torch.empty(rows, k, dtype=dtype)
        for _ in range(6):
            started = clock()
            torch.mm(left, right.T, out=result)
            best = max(best, 2 * rows * dim * k / (clock() - started))
    return best


class Bench:
    """Times on one clock, and the products' best rate so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.clock = options, CLOCKS[options.clock]
        self.dtype = torch.bfloat16 if has_bf16(torch.device("cpu")) else torch.float32
        self.rates: dict[str, float] = {}

    def products(self, k: int) -> None:
        for dtype in {self.dtype, torch.float32}:
            name = str(dtype).removeprefix("torch.")
            rate = best_product_rate(self.options.dim, k, dtype, self.clock)
            self.rates[name] = max(self.rates.get(name, 0.0), rate)

    def bound(self, n: int, k: int) -> float:
        """Seconds of as many products as there are iterations."""
        flops = 2 * n * self.options.dim * k * self.options.iterations
        return flops / self.rates[str(self.dtype).removeprefix("torch.")]

    def seconds(self, work: Callable[[], Any]) -> tuple[float, Any]:
        started = self.clock()
        result = work()
        return self.clock() - started, result


def compare(bench: Bench, vectors: np.ndarray) -> dict[str, Any]:
    """Seconds and inertia of every contestant on ``vectors``, and the ratios."""
    options = bench.options
    contestants = {name: run for name, run in CONTESTANTS.items() if "faiss" not in name or not options.no_faiss}
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    inertia: dict[str, float] = {}
    bare: list[float] = []
    for _ in range(options.rounds):
        for name, contestant in contestants.items():
            bench.products(options.k)
            bare.append(bare_products(vectors, options.k, options.iterations, bench.dtype, bench.clock))
            spent, centroids = bench.seconds(lambda c=contestant: c(vectors, options.k, options.iterations))
            taken[name].append(spent)
            inertia[name] = float(nearest(vectors, centroids)[1].sum(dtype=np.float64))
    if not options.no_sklearn:
        spent, centroids = bench.seconds(lambda: with_sklearn(vectors, options.k, options.iterations))
        taken["sklearn"] = [spent]
        inertia["sklearn"] = float(nearest(vectors, centroids)[1].sum(dtype=np.float64))
    bench.products(options.k)
    median = {name: statistics.median(values) for name, values in taken.items()}
    ratios = {
        "vs_bare_products": round(median["raydino"] / statistics.median(bare), 3),
        "vs_products_at_best_rate": round(median["raydino"] / bench.bound(len(vectors), options.k), 3),
    }
    ratios |= {f"vs_{name}": round(s / median["raydino"], 2) for name, s in median.items() if name != "raydino"}
    if not options.no_faiss:
        ratios["inertia_vs_faiss"] = round(inertia["raydino"] / inertia["faiss_kmeanspp"], 5)
    for name, spent in median.items():
        print(f"{name:>15}: {spent:7.2f} s, inertia {inertia[name]:.1f}", flush=True)
    return {
        "ratios": ratios,
        "seconds": {name: [round(s, 3) for s in values] for name, values in taken.items()},
        "inertia": {name: round(value, 1) for name, value in inertia.items()},
        "bare_products_s": [round(s, 3) for s in bare],
        "products_at_best_rate_s": round(bench.bound(len(vectors), options.k), 3),
    }


def growth(bench: Bench, vectors: np.ndarray) -> list[dict[str, Any]]:
    """Ours at a quarter, a half and all of N, and at a quarter, half and twice K: seconds, and against the bound."""
    options, rows = bench.options, []
    sizes = [(len(vectors) // part, options.k) for part in (4, 2)]
    sizes += [(len(vectors), k) for k in (options.k // 4, options.k // 2, options.k, options.k * 2)]
    for n, k in sizes:
        spent, _ = bench.seconds(lambda n=n, k=k: with_raydino(vectors[:n], k, options.iterations))
        rows.append(
            {
                "n": n,
                "k": k,
                "seconds": round(spent, 3),
                "vs_products_at_best_rate": round(spent / bench.bound(n, k), 3),
            }
        )
        print("growth", rows[-1], flush=True)
    return rows


def memory(bench: Bench) -> list[dict[str, Any]]:
    """Peak of anonymous memory in MiB while a memory-mapped file is clustered, for growing N."""
    options, rows = bench.options, []
    for n in (options.n // 4, options.n // 2, options.n, options.n * 2):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vectors.npy"
            file = np.lib.format.open_memmap(path, "w+", np.float16, (n, options.dim))
            for start in range(0, n, 65536):
                rng = np.random.default_rng((SEED, start))
                file[start : start + 65536] = sphere(rng.standard_normal((min(65536, n - start), options.dim)))
            file.flush()
            command = [sys.executable, __file__, "--memory-of", str(path), "--k", str(options.k // 4)]
            mebibytes = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append({"n": n, "file_mib": round(n * options.dim * 2 / 2**20), "peak_mib": round(mebibytes)})
        print("memory", rows[-1], flush=True)
    return rows


def peak_memory(path: Path, k: int) -> None:
    """Print by how many MiB this process's anonymous memory grows at most while it clusters the file."""

    vectors = np.load(path, mmap_mode="r")
    nearest(vectors[:4096], np.asarray(vectors[:64], np.float32))  # threads and libraries are there now
    print(growth_mib(lambda: kmeans(vectors, k, seed=SEED, n_iterations=2)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="N = 20,000, K = 500, one round")
    parser.add_argument("--n", type=int, help="vectors; 200,000")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--k", type=int, help="clusters; 2,000")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--rounds", type=int, help="3")
    parser.add_argument("--threads", type=int, help="as torch chooses")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", choices=("mixture", "noise", "growth", "memory"), help="one part")
    parser.add_argument("--no-sklearn", action="store_true", help="leave scikit-learn out, which takes minutes")
    parser.add_argument("--no-faiss", action="store_true", help="leave faiss out, which takes minutes a round")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.n = options.n or (20000 if options.quick else 200000)
    options.k = options.k or (500 if options.quick else 2000)
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def main() -> None:
    options = parse()
    keep_freed_memory()
    with_raydino(noise(2048, options.dim), 32, 1)  # its loops are compiled once on a machine, not in every run
    if options.memory_of:
        peak_memory(options.memory_of, options.k)
        return
    bench = Bench(options)
    wanted = (options.only,) if options.only else ("mixture", "noise", "growth", "memory")
    parts: dict[str, Any] = {}
    with ExitStack() as limits:
        if options.threads:
            torch.set_num_threads(options.threads)
            faiss.omp_set_num_threads(options.threads)
            limits.enter_context(threadpool_limits(options.threads))
        bench.products(options.k)
        for name, make in (("mixture", mixture), ("noise", noise)):
            if name in wanted:
                print(name, flush=True)
                parts[name] = compare(bench, make(options.n, options.dim))
        if "growth" in wanted:
            parts["growth"] = growth(bench, mixture(options.n, options.dim))
        if "memory" in wanted:
            parts["memory"] = memory(bench)
    result = {
        "benchmark": "kmeans",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "config": {name: value for name, value in vars(options).items() if name != "memory_of"},
        "ratios": parts.get("mixture", {}).get("ratios", {}),
        "product_gflops": {name: round(rate / 1e9) for name, rate in bench.rates.items()},
        **parts,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
