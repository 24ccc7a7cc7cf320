"""What adapters cost: fitting on cached features against live, a grid of heads against one head, memory against films.

``cached``: seconds to encode films and fit (live), over seconds to fit on features at hand, of a whole ``fit`` with its
figures and their intervals; and each for the grid over its slowest head. Films are phantoms and the encoder is a random
ViT of the width and patches asked for, since weights change no times. Live fits take one turn, as nearly all of their
time is the encoder's.

``grid``: the whole grid (readouts x last blocks x learning rates) over each readout of it alone, on all blocks at one
rate. Fits take turns, figures are medians over rounds; the bound is 1.3 times the slowest head. Features are random
and memory-mapped, epochs fixed. With ``--kept-bytes 0`` no readout is kept in memory: it is made of the tokens in every
epoch, as where readouts are too large.

``memory``: a process of its own fits on memory-mapped features of growing N; counted is the peak of its anonymous
memory (RssAnon) above what it had before, so that the file's pages in the cache do not count. ``rereading`` keeps no
readout in memory (``adapters.batches.KEPT_BYTES`` at 0), as where readouts are too large: the peak must not grow.

    python benchmarks/adapter_fits.py             4,000 films, D = 384, 14 x 14 patches, 4 blocks: 5 GB in $TMPDIR
    python benchmarks/adapter_fits.py --quick     300 films, D = 96, 8 x 8 patches: about a minute of one core
    python benchmarks/adapter_fits.py --threads 1 --clock process      where others use the machine too
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anonymous_memory import growth_mib

import adapters.batches
from adapters.base import Adapter, AdapterConfig
from adapters.batches import CondensedFilms, FilmFeatures, Split
from adapters.fit import fit
from adapters.registry import ADAPTERS
from raydino.artifacts.encoder import EncoderCard
from raydino.encoder import Encoder, EncoderOutput, EncoderSpec, save_encoder
from raydino.features import Features, extract
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.testing.tiny import PIXELS, tiny_dataset
from raydino.train.precision import keep_freed_memory

CLOCKS = {"wall": time.perf_counter, "process": time.process_time}
BLOCKS = (-4, -3, -2, -1)
READOUTS = ("cls", "cls_mean", "grid_3", "grid_6")
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
LABELS = tuple(f"finding {number}" for number in range(14))
VAL_SHARE, SEED, BOUND = 0.2, 0, 1.3


def config(kind: str, epochs: int, **recipe: Any) -> AdapterConfig:
    common = {"seed": SEED, "views": ["PA", "AP", "UNKNOWN"], "labels": "all", "blocks": BLOCKS}
    descent = {"epochs": epochs, "patience": epochs, "batch_size": 128, "learning_rate": 1e-2, "weight_decay": 1e-2}
    model: type[AdapterConfig] = ADAPTERS.get(kind).config_model
    return model.model_validate({"kind": kind, "recipe": common | descent | recipe, "runtime": {"device": "cpu"}})


def grid(
    epochs: int, readouts: tuple[str, ...], last_blocks: tuple[int, ...], rates: tuple[float, ...]
) -> AdapterConfig:
    lists = {"readouts": readouts, "last_blocks": last_blocks, "learning_rate_factors": rates}
    return config("classification_grid", epochs, **lists, learning_rate=10.0, weight_decay=0.0)


@dataclass(frozen=True)
class Films:
    """Random features of ``n`` films in a folder, as ``raydino embed`` lays them out, with random labels."""

    features: Features
    spec: EncoderSpec
    targets: torch.Tensor

    @classmethod
    def write(cls, folder: Path, n: int, options: argparse.Namespace) -> None:
        width = options.dim * len(BLOCKS)
        shapes = {"cls": (n, width), "patches": (n, options.side, options.side, width)}
        for name, shape in shapes.items():
            file = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
            for start in range(0, n, 64):
                rng = np.random.default_rng((SEED, start))
                file[start : start + 64] = rng.standard_normal((min(64, n - start), *shape[1:]), dtype=np.float32)
            file.flush()

    @classmethod
    def open(cls, folder: Path, options: argparse.Namespace) -> Films:
        tokens = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("cls", "patches")}
        n, width = tokens["cls"].shape
        output = EncoderOutput(
            torch.from_numpy(tokens["cls"]), torch.empty(n, 0, width), torch.from_numpy(tokens["patches"])
        )
        spec = EncoderSpec("", options.dim, 12, 0, 16 * options.side, 16, {})
        targets = torch.from_numpy(np.random.default_rng(SEED).integers(0, 2, (n, len(LABELS)))).float()
        return cls(Features([str(film) for film in range(n)], output, BLOCKS), spec, targets)

    def fit(self, settings: AdapterConfig) -> None:
        """What ``adapters.fit`` does once it knows films and targets, up to the figures."""
        keep_freed_memory()
        cls: type[Adapter] = ADAPTERS.get(settings.kind)
        adapter = cls(settings, self.spec, LABELS)
        n_val = round(VAL_SHARE * len(self.targets))
        splits = []
        for chosen in (slice(n_val, None), slice(0, n_val)):
            films = FilmFeatures(self.features, self.features.sample_ids[chosen], blocks=BLOCKS)
            splits.append(Split(CondensedFilms(films, adapter.condense), self.targets[chosen]))
        adapter.observe(splits[0].films, splits[0].targets)
        adapter.learn(*splits, torch.Generator().manual_seed(SEED))


class Bench:
    """Times on one clock, in turns."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.clock = options, CLOCKS[options.clock]

    def medians(self, works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
        """Median seconds of each of ``works`` over the rounds."""
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                started = self.clock()
                work()
                taken[name].append(self.clock() - started)
                print(f"{name:>24}: {taken[name][-1]:8.2f} s", flush=True)
        return {name: statistics.median(values) for name, values in taken.items()}


def cached_against_live(bench: Bench, folder: Path) -> dict[str, Any]:
    options = bench.options
    dataset = tiny_dataset(folder / "dataset", n_patients=options.live_films // 2)
    heads = max(1, options.dim // 64)
    vit = ViTConfig(
        image_size=16 * options.side, patch_size=16, embed_dim=options.dim, depth=12, n_heads=heads, n_registers=0
    )
    network = VisionTransformer(vit).initialise(torch.Generator().manual_seed(SEED))
    card = EncoderCard(vit=vit.resolved(), pixels=PIXELS, mean=0.4, std=0.25, steps=0)
    save_encoder(folder / "encoder", network, card, inputs={})
    encoder = Encoder.load(folder / "encoder")
    features = extract(encoder, dataset, dataset.sample_ids(), blocks=BLOCKS)
    settings = {
        "grid": grid(options.epochs, READOUTS, (1, 4), RATES),
        READOUTS[-1]: grid(options.epochs, READOUTS[-1:], (4,), (1.0,)),
    }
    fit(settings["grid"], encoder, dataset, features)  # the first fit of a process loads more of torch
    median = {}
    for way, made, rounds in (("live", None, 1), ("cached", features, options.rounds)):
        works = {
            f"{name} {way}": lambda chosen=chosen, made=made: fit(chosen, encoder, dataset, made)
            for name, chosen in settings.items()
        }
        median |= bench.medians(works, rounds)
    ratio = {way: round(median[f"grid {way}"] / median[f"{READOUTS[-1]} {way}"], 2) for way in ("live", "cached")}
    return {
        "films": options.live_films,
        "seconds": {name: round(value, 2) for name, value in median.items()},
        "live_vs_cached": round(median["grid live"] / median["grid cached"], 2),
        "grid_vs_slowest": ratio,
    }


def grid_against_heads(bench: Bench, folder: Path) -> dict[str, Any]:
    options = bench.options
    Films.write(folder, options.n, options)
    films = Films.open(folder, options)
    works = {kind: lambda kind=kind: films.fit(grid(options.epochs, (kind,), (4,), (1.0,))) for kind in READOUTS}
    works["grid"] = lambda: films.fit(grid(options.epochs, READOUTS, (1, 4), RATES))
    films.fit(grid(1, ("cls",), (1,), (1.0,)))  # the first fit of a process loads more of torch
    median = bench.medians(works, options.rounds)
    ratios = {f"grid_vs_{kind}": round(median["grid"] / median[kind], 2) for kind in READOUTS}
    slowest = max(READOUTS, key=lambda kind: median[kind])
    heads = len(READOUTS) * 2 * len(RATES)
    seconds = {kind: round(value, 2) for kind, value in median.items()}
    return {
        "heads": heads,
        "slowest": slowest,
        "seconds": seconds,
        "grid_vs_slowest": ratios[f"grid_vs_{slowest}"],
        **ratios,
    }


def memory(bench: Bench, folder: Path) -> list[dict[str, Any]]:
    """Peak of anonymous memory in MiB for growing N, readouts kept and not."""
    options, rows = bench.options, []
    for part in (4, 2, 1):
        n = options.n // part
        place = folder / str(n)
        place.mkdir()
        Films.write(place, n, options)
        row: dict[str, Any] = {"n": n}
        for name, kept in (("keeping", adapters.batches.KEPT_BYTES), ("rereading", 0)):
            command = [sys.executable, __file__, "--memory-of", str(place), "--kept-bytes", str(kept)]
            command += ["--dim", str(options.dim), "--side", str(options.side)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            row[name] = round(float(done.stdout))
        row["features"] = round(sum(path.stat().st_size for path in place.iterdir()) / 2**20)
        for path in place.iterdir():
            path.unlink()
        rows.append(row)
        print("memory, MiB", row, flush=True)
    return rows


def peak_memory(options: argparse.Namespace) -> None:
    """Print by how many MiB this process's anonymous memory grows at most while it fits."""

    films = Films.open(options.memory_of, options)
    settings = config("classification_linear", 2, readout="grid_3", l2=[0.1, 1.0])
    films.features.output.cls[:4096].sum()  # threads and libraries are there now
    print(growth_mib(lambda: films.fit(settings)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="300 films, D = 96, 8 x 8 patches, one round")
    parser.add_argument("--n", type=int, help="films of grid and memory; 4,000")
    parser.add_argument("--live-films", type=int, help="films of cached; 400")
    parser.add_argument("--dim", type=int, help="width of a token of one block; 384")
    parser.add_argument("--side", type=int, help="patches along a side; 14")
    parser.add_argument("--epochs", type=int, help="of every fit; 50")
    parser.add_argument("--rounds", type=int, help="3")
    parser.add_argument("--threads", type=int, help="as torch chooses")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", choices=("cached", "grid", "memory"), help="one part")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    kept = adapters.batches.KEPT_BYTES
    parser.add_argument("--kept-bytes", type=int, default=kept, help=f"of readouts that stay in memory; {kept}")
    options = parser.parse_args()
    sizes = {"n": (300, 4000), "live_films": (60, 400), "dim": (96, 384), "side": (8, 14), "epochs": (5, 50)}
    for name, (quick, full) in (sizes | {"rounds": (1, 3)}).items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    return options


def main() -> None:
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    adapters.batches.KEPT_BYTES = options.kept_bytes
    if options.memory_of:
        peak_memory(options)
        return
    bench = Bench(options)
    parts: dict[str, Any] = {}
    measures = {"cached": cached_against_live, "grid": grid_against_heads, "memory": memory}
    for name, measure in measures.items():
        if options.only in (None, name):
            print(name, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                parts[name] = measure(bench, Path(folder))
    result = {
        "benchmark": "adapters",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "config": {key: v for key, v in vars(options).items() if key != "memory_of"},
        "bound": {"grid_vs_slowest": BOUND},
        **parts,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
