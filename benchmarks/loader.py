"""How many films does a core decode, crop and collate? Against plain loops with PIL and OpenCV, and decoding alone.

Phantom films as ingest stores them (PNG in tar shards), decoded anew each time. In one process on one thread,
interleaved, CPU seconds (neighbours on the machine count little), medians over rounds, per setting of sizes:

  raydino        StepBatches: decode, draw, antialiased bicubic in float32, photometric changes, masks, collate
  PIL loop       the same crops of crop_resize by Image.crop and Image.resize(BICUBIC), in 8 bits, stacked
  OpenCV loop    the same by cv2.resize in float32: INTER_AREA where it shrinks, else INTER_CUBIC, stacked
  decode only    PNG to pixels

Then the loader itself with one and two workers, wall seconds a film over those of decoding alone in the same round,
views made by workers or left to the device, and how many bytes a film travels with. The last line is one JSON object.

    python benchmarks/loader.py
    python benchmarks/loader.py --quick        under a minute: fewer films and rounds
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from raydino.artifacts.images import ShardWriter, encode_png
from raydino.data.augment.crop_resize import CropResize
from raydino.data.augment.cxr import Cxr
from raydino.data.augment.original import Original
from raydino.data.batches import StepBatches
from raydino.data.films import Films
from raydino.data.loader import AugmentOn, batches
from raydino.phantom.demographics import sample_patient
from raydino.phantom.studio import take_film
from raydino.train.precision import keep_freed_memory


@dataclass(frozen=True)
class Setting:
    """Sizes in pixels: films' shorter side, crops; and the patch that divides the global crops."""

    shorter_side: int
    global_size: int
    local_size: int
    n_locals: int
    patch_size: int

    @property
    def sizes(self) -> dict[str, int]:
        return {"global_size": self.global_size, "local_size": self.local_size, "n_locals": self.n_locals}


SETTINGS = {
    "224/98 of 512": Setting(512, 224, 98, 8, 14),
    "512/224 of 640": Setting(640, 512, 224, 8, 16),
    "96/48 of 128": Setting(128, 96, 48, 4, 16),
}
POLICIES = {"crop_resize": CropResize, "cxr": Cxr, "original": Original}
LOADED = "224/98 of 512"  # what the loader is measured on
BATCH = 8
EPOCHS = 6  # through the loader


def write_films(folder: Path, n_films: int, shorter_side: int) -> Films:
    """``n_films`` frontal phantoms of ``shorter_side`` in shards, opened without a cache."""
    rows = []
    with ShardWriter(folder / "images") as shards:
        for number in range(n_films):
            patient = sample_patient(np.random.default_rng([number, 0]), number)
            patient = replace(patient, site=replace(patient.site, short_side_px=shorter_side))
            film = take_film(np.random.default_rng([number, 1]), patient, patient.studies[0], "PA", planted_bias=False)
            pixels = np.rint(film.brightness * 255).astype(np.uint8)
            location = shards.add(str(number), encode_png(pixels))
            rows.append({**location.__dict__, "rows": pixels.shape[0], "cols": pixels.shape[1]})
    accepted = pd.DataFrame(rows, index=[str(number) for number in range(n_films)])
    dataset: Any = SimpleNamespace(path=folder, accepted=accepted)
    return Films(dataset, list(accepted.index), cache_bytes=0)


def source(films: Films, setting: Setting, policy: type[CropResize], epochs: int = 1) -> StepBatches:
    steps = epochs * len(films) // BATCH
    return StepBatches(
        films,
        policy(**setting.sizes),
        batch_size=BATCH,
        patch_size=setting.patch_size,
        seed=0,
        first_step=0,
        last_step=steps,
    )


def plain_loop(films: Films, setting: Setting, open_film: Callable[[int], Any], cut: Callable[..., Any]) -> None:
    """What people write: open, draw, cut, stack."""
    policy = CropResize(**setting.sizes)
    rng = np.random.default_rng(0)
    sizes = [setting.global_size] * 2 + [setting.local_size] * setting.n_locals
    for start in range(0, len(films), BATCH):
        views = []
        for number in range(start, start + BATCH):
            film, shape = open_film(number)
            boxes = policy.draw(shape, rng).boxes.tolist()
            views.append([cut(film, box, size) for box, size in zip(boxes, sizes, strict=True)])
        for of in (slice(2), slice(2, None)):
            torch.from_numpy(np.stack([crop for film_views in views for crop in film_views[of]]))


def by_pil(films: Films, setting: Setting, pngs: list[bytes]) -> None:
    def open_film(number: int) -> tuple[Image.Image, tuple[int, int]]:
        film = Image.open(io.BytesIO(pngs[number]))
        film.load()
        return film, (film.height, film.width)

    def cut(film: Image.Image, box: list[int], size: int) -> Any:
        top, left, rows, cols = box
        crop = film.crop((left, top, left + cols, top + rows)).resize((size, size), Image.Resampling.BICUBIC)
        return np.asarray(crop, np.float32) / 255

    plain_loop(films, setting, open_film, cut)


def by_opencv(films: Films, setting: Setting) -> None:
    def open_film(number: int) -> tuple[Any, tuple[int, ...]]:
        film = films[number].astype(np.float32) / 255
        return film, film.shape

    def cut(film: Any, box: list[int], size: int) -> Any:
        top, left, rows, cols = box
        shrinks = rows > size and cols > size
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        crop = cv2.resize(film[top : top + rows, left : left + cols], (size, size), interpolation=interpolation)
        return crop.clip(0, 1)

    plain_loop(films, setting, open_film, cut)


def decode(films: Films) -> None:
    for number in range(len(films)):
        films[number]


def on_one_core(films: Films, setting: Setting, rounds: int) -> dict[str, float]:
    """CPU milliseconds a film of each way."""
    pngs = [encode_png(films[number]) for number in range(len(films))]
    ways: dict[str, Callable[[], object]] = {
        f"raydino, {name}": lambda policy=policy: [*source(films, setting, policy)]  # type: ignore[misc]
        for name, policy in POLICIES.items()
    }
    ways["PIL loop"] = lambda: by_pil(films, setting, pngs)
    ways["OpenCV loop"] = lambda: by_opencv(films, setting)
    ways["decode only"] = lambda: decode(films)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if round_:  # the first warms up
                spent[name].append((time.process_time() - started) / len(films) * 1e3)
    return {name: round(statistics.median(values), 3) for name, values in spent.items()}


def through_the_loader(films: Films, setting: Setting, rounds: int) -> dict[str, float]:
    """Wall seconds a film of the loader over decoding alone in this process, medians of rounds."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        started = time.perf_counter()
        decode(films)
        alone = (time.perf_counter() - started) / len(films)
        for n_workers in (1, 2):
            on: AugmentOn
            for on in ("workers", "device"):
                loaded = batches(source(films, setting, Cxr, EPOCHS), n_workers=n_workers, augment_on=on)
                first = next(loaded)  # starting processes is not counted
                started = time.perf_counter()
                n_films = sum(len(batch.film_indices) for batch in loaded)
                each = (time.perf_counter() - started) / max(n_films, 1)
                found.setdefault(f"{n_workers} workers, views by {on}", []).append(alone / each)
                del first
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def bytes_of(setting: Setting, films: Films) -> dict[str, int]:
    """What a film travels with."""
    given = source(films, setting, Cxr)
    views, pixels = given[0], given.drawn(0).films.pixels
    crops = sum(tensor.nbytes for tensor in (views.global_crops, views.local_crops))
    return {"views by workers": crops // BATCH, "views by device": pixels.nbytes // BATCH}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    keep_freed_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    n_films, rounds = (8, 3) if quick else (16, 9)
    results: dict[str, dict[str, Any]] = {}
    for name, setting in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            films = write_films(Path(folder), n_films, setting.shorter_side)
            milliseconds = on_one_core(films, setting, rounds)
            ours = {policy: milliseconds[f"raydino, {policy}"] for policy in POLICIES}
            results[name] = {
                "cpu_ms_per_film": milliseconds,
                "films_per_second_per_core": {policy: round(1e3 / spent, 1) for policy, spent in ours.items()},
                "ratios": {
                    f"crop_resize_vs_{peer.replace(' ', '_').lower()}": round(
                        milliseconds[peer] / ours["crop_resize"], 2
                    )
                    for peer in ("PIL loop", "OpenCV loop", "decode only")
                },
                "loader_vs_decode_only": through_the_loader(films, setting, rounds) if name == LOADED else {},
                "bytes_per_film": bytes_of(setting, films),
            }
    show(results)
    print(
        json.dumps(
            {
                "benchmark": "loader",
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "config": {"films": n_films, "rounds": rounds, "batch": BATCH},
                "ratios": {name: result["ratios"] for name, result in results.items()},
                "settings": results,
            }
        )
    )


def show(results: dict[str, dict[str, Any]]) -> None:
    for name, result in results.items():
        table = Table(title=f"{name}: CPU milliseconds a film", title_justify="left")
        for column in ("way", "ms"):
            table.add_column(column)
        for way, spent in result["cpu_ms_per_film"].items():
            table.add_row(way, f"{spent:.2f}")
        for way, ratio in result["loader_vs_decode_only"].items():
            table.add_row(f"films/s of the loader over decode only: {way}", f"{ratio:.2f} ×")
        Console(width=120).print(table)


if __name__ == "__main__":
    main()
