"""Are planted near duplicates and planted leaks found, and how much else is taken for one?

    .venv/bin/python benchmarks/planted_duplicates.py demo/dataset --encoder demo/encoder [--quick] [--seeds 2]

Films of the pool (train) are planted again under new patients: near duplicates. Films of val and test are planted into
the pool: leaks. Then the archive is calibrated and deduplicated as ``raydino curate`` does it.

What the calibration shares with the planting: it makes copies of its own of other random films, and four families of
change (compression, window, crop, size) occur in both. The code and the draws are not shared, the planted window is a
sigmoid and not a gamma, and rotation, a burned-in marker and their combination occur in the planting alone.

Recall: the planted film stands in one component with its original (near duplicates), or leaves as a leak. Precision of
pairs: edges that join films of one origin, of all edges between two patients; films that were alike before count as
errors there, so it is a lower bound: the second figure leaves out pairs that are found without any planting. With
--encoder the same is tried by cosines of its cls tokens. With --sheet the old two-patient pairs around the threshold
are drawn.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raydino.artifacts.dataset import Dataset
from raydino.curation.copies import RECODED_FILMS, calibrate_vectors, find_copies
from raydino.curation.duplicates import Duplicates, Pairs, Pool, deduplicate
from raydino.curation.neighbours import nearest_neighbours
from raydino.curation.pair_sheet import write_pair_sheet
from raydino.curation.recoding import RECODINGS
from raydino.curation.thresholds import Calibration
from raydino.data.films import whole_film

Film = npt.NDArray[np.uint8]
Rng = np.random.Generator


def jpeg(film: Film, rng: Rng) -> Film:
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, "JPEG", quality=int(rng.integers(20, 81)))
    return np.asarray(Image.open(buffer))


def window(film: Film, rng: Rng) -> Film:
    """A sigmoid about a centre, as viewers offer it."""
    x = (film / 255 - rng.uniform(0.4, 0.6)) * rng.uniform(3, 7)
    y = 1 / (1 + np.exp(-x))
    return np.rint(255 * (y - y.min()) / max(float(np.ptp(y)), 1e-6)).astype(np.uint8)


def crop(film: Film, rng: Rng) -> Film:
    rows, cols = film.shape
    top, bottom, left, right = rng.uniform(0, 0.06, 4)
    return film[round(top * rows) : rows - round(bottom * rows), round(left * cols) : cols - round(right * cols)]


def resize(film: Film, rng: Rng) -> Film:
    """Down and up again."""
    scale = rng.uniform(0.45, 0.85)
    small = Image.fromarray(film).resize([max(8, round(scale * n)) for n in film.shape[::-1]], Image.Resampling.LANCZOS)
    return np.asarray(small.resize(film.shape[::-1], Image.Resampling.BICUBIC))


def rotate(film: Film, rng: Rng) -> Film:
    return np.asarray(Image.fromarray(film).rotate(rng.uniform(-2.5, 2.5), Image.Resampling.BICUBIC))


def marker(film: Film, rng: Rng) -> Film:
    """A white box and a text somewhere along the upper edge."""
    image = Image.fromarray(film.copy())
    left = int(rng.integers(2, max(3, film.shape[1] // 2)))
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, 3, left + film.shape[1] // 8, 3 + film.shape[0] // 12), fill=255)
    draw.text((left + 2, 4), "AP", fill=0)
    return np.asarray(image)


def everything(film: Film, rng: Rng) -> Film:
    return jpeg(window(resize(crop(rotate(marker(film, rng), rng), rng), rng), rng), rng)


PLANTED: dict[str, Callable[[Film, Rng], Film]] = {
    "identical": lambda film, rng: film.copy(),
    "jpeg": jpeg,
    "window": window,
    "crop": crop,
    "resize": resize,
    "rotate": rotate,
    "marker": marker,
    "everything": everything,
}


class Archive:
    """A dataset's films, then planted ones; of each its origin, and of planted ones their kind."""

    def __init__(self, dataset: Dataset, ids: list[str], of_each: int, seed: int) -> None:
        table, n = dataset.accepted.loc[ids], len(ids)
        self.films: list[Film] = list(map(dataset.film, ids))  # type: ignore[misc]
        self.films = [film if film.dtype == np.uint8 else (film >> 8).astype(np.uint8) for film in self.films]
        protected = (table["split"] != "train").to_numpy()
        rng = np.random.default_rng((seed, 1))
        self.origin, self.kinds = list(range(n)), [""] * n
        for kind, change in PLANTED.items():
            for rows in (np.flatnonzero(~protected), np.flatnonzero(protected)):
                for row in rng.choice(rows, min(of_each, len(rows)), replace=False).tolist():
                    self.films.append(change(self.films[row], rng))
                    self.origin.append(row)
                    self.kinds.append(kind)
        n_planted = len(self.films) - n
        contents = [f"{hash(film.tobytes())} {film.shape}" for film in self.films]
        self.pool = Pool(
            ids=[*ids, *(f"planted-{i:05d}" for i in range(n_planted))],
            patients=[*table["patient_id"], *(f"planted-{i:05d}" for i in range(n_planted))],
            contents=contents,
            sizes=[film.size for film in self.films],
            protected=np.concatenate([protected, np.zeros(n_planted, bool)]),
        )
        self.n_unplanted = n

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, row: int) -> Film:
        return self.films[row]


def score(archive: Archive, found: Duplicates) -> dict[str, dict[str, float]]:
    """By kind: recall of near duplicates and of leaks; in all: precision."""
    kinds, origin = np.array(archive.kinds), np.array(archive.origin)
    from_protected = archive.pool.protected[origin]  # type: ignore[index]
    reasons = np.array([reason or "" for reason in found.reasons])
    together = found.components == found.components[origin]
    by_kind = {}
    for kind in PLANTED:
        of_kind = kinds == kind
        near, leaks = of_kind & ~from_protected, of_kind & from_protected
        by_kind[kind] = {
            "near duplicates": float(together[near].mean()),
            "leaks": float((reasons[leaks] == "leak").mean()),
        }
    ends = found.pairs.rows[~found.one_patient]
    right = origin[ends[:, 0]] == origin[ends[:, 1]]
    old = (ends < archive.n_unplanted).all(axis=1)
    leaks = np.array([reason == "leak" for reason in found.reasons])
    old_leaks = leaks & (kinds == "")
    by_kind["all"] = {
        "near duplicates": float(together[(kinds != "") & ~from_protected].mean()),
        "leaks": float(leaks[(kinds != "") & from_protected].mean()),
        "pair precision, at least": float(right.mean()) if len(right) else 1.0,
        "pair precision, but for old pairs": float(right[~old].mean()) if (~old).any() else 1.0,
        "leak precision, at least": float((leaks & from_protected & (kinds != "")).sum() / max(leaks.sum(), 1)),
        "old two-patient pairs": int(old.sum()),
        "old films that leave as leaks": int(old_leaks.sum()),
    }
    return by_kind


def by_encoder(archive: Archive, encoder_path: Path, seed: int) -> tuple[Calibration, Pairs]:
    """The same by cosines of cls tokens."""
    import torch

    from raydino.encoder import Encoder

    encoder = Encoder.load(encoder_path)

    def encoded(films: list[Film]) -> npt.NDArray[np.float32]:
        side = encoder.spec.image_size
        views = [
            torch.from_numpy(np.stack([whole_film(f, side) for f in films[i : i + 64]]))
            for i in range(0, len(films), 64)
        ]
        return np.concatenate([encoder(view).cls.numpy() for view in views])

    vectors = encoded(archive.films)
    pairs = Pairs.of(nearest_neighbours(vectors, k=min(64, len(vectors) - 1)))
    rows = np.sort(np.random.default_rng(seed).choice(len(vectors), min(RECODED_FILMS, len(vectors)), replace=False))
    copies = {
        kind: encoded([recode(archive[row], np.random.default_rng((seed, i, row))) for row in rows.tolist()])  # type: ignore[misc]
        for i, (kind, recode) in enumerate(RECODINGS.items())
    }
    return calibrate_vectors(vectors, archive.pool, pairs, copies, rows, false_merge_rate=_rate(archive)), pairs


def _rate(archive: Archive) -> float:
    """0.5 %, or what a small archive can tell."""
    return max(0.005, 6 / len(archive))


def shown(title: str, results: list[dict[str, dict[str, float]]], calibration: Calibration) -> dict[str, float]:
    one = calibration
    print(
        f"\n{title}\nthreshold {one.threshold:.3f}, usable: {one.separates}; of the calibration's own copies it finds"
    )
    print("  " + ", ".join(f"{kind} {value:.1%}" for kind, value in one.recalls.items()))
    print(f"  false merges {one.false_merge_rate:.2%} (at most {one.false_merge_limit:.2%}), {one.n_suspects} suspects")
    print(f"{'planted':14} {'near duplicates':>16} {'leaks':>8}   recall, mean of {len(results)} seeds")
    for kind in [*PLANTED, "all"]:
        values = [np.mean([one[kind][column] for one in results]) for column in ("near duplicates", "leaks")]
        print(f"{kind:14} {values[0]:16.3f} {values[1]:8.3f}")
    means = {name: float(np.mean([one["all"][name] for one in results])) for name in results[0]["all"]}
    for name in list(means)[2:]:
        print(f"  {name}: {means[name]:.3f}")
    return {name: round(value, 4) for name, value in means.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--quick", action="store_true", help="300 films, one seed, 3 of each kind")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--of-each", type=int, default=8, help="near duplicates of each kind, and as many leaks")
    parser.add_argument("--sheet", type=Path, help="PNG of the two-patient pairs around the threshold")
    options = parser.parse_args()
    dataset = Dataset.open(options.dataset)
    ids = dataset.sample_ids()[: 300 if options.quick else None]
    of_each, n_seeds = (3, 1) if options.quick else (options.of_each, options.seeds)
    results, cosine_results, cpu_seconds, n_pairs = [], [], 0.0, 0
    for seed in range(n_seeds):
        archive = Archive(dataset, ids, of_each, seed)
        start = time.process_time()
        copies = find_copies(archive, archive.pool, seed=seed, false_merge_rate=_rate(archive))
        cpu_seconds, n_pairs = cpu_seconds + time.process_time() - start, n_pairs + len(copies.pairs)
        calibration = copies.calibration
        results.append(
            score(archive, deduplicate(archive.pool, copies.pairs, calibration.threshold, leaks="component"))
        )
        if options.encoder:
            cosine, pairs = by_encoder(archive, options.encoder, seed)
            cosine_results.append(score(archive, deduplicate(archive.pool, pairs, cosine.threshold, leaks="component")))
    if options.sheet:
        two = copies.pairs.where(~archive.pool.one_patient(copies.pairs) & (copies.pairs.rows < len(ids)).all(axis=1))
        write_pair_sheet(options.sheet, archive, archive.pool, two, calibration.threshold)
    ratios = shown("films laid upon each other", results, calibration)
    result = {
        "benchmark": "planted_duplicates",
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "config": {"films": len(ids), "of_each": of_each, "seeds": n_seeds},
        "ratios": ratios,
        "threshold": round(calibration.threshold, 4),
        "cpu_seconds_a_seed": round(cpu_seconds / n_seeds, 1),
        "pairs_a_seed": n_pairs // n_seeds,
    }
    if options.encoder:
        result["ratios_of_cls"] = shown("cosine of the encoder's cls token", cosine_results, cosine)
        result["cls_usable"] = cosine.separates
    print(json.dumps(result))


if __name__ == "__main__":
    main()
