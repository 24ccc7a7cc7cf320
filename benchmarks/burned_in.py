"""How much burned-in text does OCR find, by its height, and how often does it take a film's own pixels for text?

    .venv/bin/python benchmarks/burned_in.py ../shared/data/archive [--quick] [--films 60] [--seed 0]

Films are drawn at random from an archive and stored as ingest stores them. First as they are: the share of
films with a region that would become black (their own markers, L or PORTABLE, do not count). Then a name, a
number or a date is drawn into each, at six heights, white or black: found where at least 95 % of its ink is
covered, partly where half is. The limit is what is drawn: all of it. Needs the extra ocr.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from raydino.artifacts.images import decode_png
from raydino.dicom.burned_in import blacked_out, require_ocr, text_regions
from raydino.dicom.film import Work, prepare_worker, read_film
from raydino.dicom.pixels import PixelRecipe
from raydino.dicom.screen import Screening
from raydino.readers.base import SourceImage

HEIGHTS = (7, 9, 11, 14, 20, 28)  # points of the font, which are pixels here
TEXTS = ("QUIXOTEWITZ ZEBULON", "MRN-8675309", "29.02.1956", "Wyvernshire Infirmary")
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"

Film = npt.NDArray[np.uint8]


def read_films(archive: Path, count: int, rng: random.Random) -> list[Film]:
    paths = sorted(path for path in archive.rglob("*") if path.is_file())
    work = Work(PixelRecipe(), screening=Screening(burned_in="keep"))
    readings = (read_film(work, SourceImage("x", path=path)) for path in rng.sample(paths, min(count, len(paths))))
    return [decode_png(one.film.png, where="") for one in readings if one.film]  # type: ignore[misc]


def with_text(film: Film, height: int, rng: random.Random) -> tuple[Film, npt.NDArray[np.bool_]]:
    """The film with a text somewhere in its upper or lower fifth, and where its ink is."""
    font, text = ImageFont.truetype(str(FONT), height), rng.choice(TEXTS)
    ink = Image.new("L", film.shape[::-1])
    rows = film.shape[0]
    top = rng.choice([rng.randrange(4, rows // 5), max(4 * rows // 5, rows - 2 * height) - rng.randrange(9)])
    ImageDraw.Draw(ink).text((rng.randrange(4, max(5, film.shape[1] - 12 * height)), top), text, fill=255, font=font)
    cover = np.asarray(ink, np.float32) / 255
    ground = float(film[cover > 0.5].mean())
    shade = 255.0 if ground < 128 else 0.0  # as devices do: what can be read on its ground
    return np.rint(film * (1 - cover) + shade * cover).astype(np.uint8), cover > 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--films", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    require_ocr()
    prepare_worker()
    rng = random.Random(options.seed)
    films = read_films(options.archive, 12 if options.quick else options.films, rng)
    start = time.perf_counter()
    own = [text_regions(film) for film in films]
    seconds = (time.perf_counter() - start) / len(films)
    print(f"{sum(map(bool, own))} of {len(films)} films have regions of their own, {sum(map(len, own))} in all")
    found = {}
    for height in HEIGHTS:
        covered = []
        for film in films:
            planted, ink = with_text(film, height, rng)
            black = blacked_out(np.full_like(planted, 1), text_regions(planted)) == 0
            covered.append(float(black[ink].mean()))
        found[height] = (sum(c >= 0.95 for c in covered) / len(covered), sum(c >= 0.5 for c in covered) / len(covered))
        print(f"{height:3} px  found {found[height][0]:6.1%}  at least half {found[height][1]:6.1%}")
    result = {
        "benchmark": "burned_in",
        "machine": platform.processor() or platform.machine(),
        "config": {"films": len(films), "seed": options.seed, "shorter_side": 512},
        "ratios": {f"found_{height}_px": round(share, 3) for height, (share, _) in found.items()},
        "films_with_own_regions": round(sum(map(bool, own)) / len(films), 3),
        "seconds_a_film": round(seconds, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
