"""Does an ingest that is killed again and again end with the dataset of an undisturbed run, byte for byte?

An archive (``raydino synth``) is ingested once undisturbed. Then the same command is started and killed
(SIGKILL, the process alone) at a moment drawn evenly from the undisturbed run's time, again and again, until
it ends; then the fingerprints are compared, the dataset is removed and the next one begins, until the kills
are used up. Measured: kills that landed, datasets that were finished after kills and how many of them are
identical (peer: the undisturbed run), and the share of images that the restarts read anew: what a kill costs.

    python benchmarks/ingest_kills.py --kills 10 --patients 400     about 2 minutes on two cores
    python benchmarks/ingest_kills.py --quick                       3 kills, 60 patients

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from raydino.artifacts.header import fingerprint


def command(directory: Path) -> list[str]:
    """The ingest that is killed; with reports, labels and masks, so that every table is written."""
    given = directory / "synthetic"
    beside = ("--labels", given / "labels.csv", "--masks", given / "masks", "--key", given / "synthetic.key")
    words = ("ingest", given / "archive", "--out", directory / "dataset", *beside, "--shorter-side", "256")
    return [sys.executable, "-m", "raydino", *map(str, words)]


def undisturbed(directory: Path) -> tuple[str, float, int]:
    """Fingerprint, seconds and number of images of a run that nobody stops; the dataset is removed."""
    started = time.perf_counter()
    subprocess.run(command(directory), check=True, capture_output=True)
    seconds = time.perf_counter() - started
    images = sum(path.is_file() for path in (directory / "synthetic" / "archive").rglob("*"))
    return taken(directory), seconds, images


def taken(directory: Path) -> str:
    """The fingerprint of the dataset, which is removed."""
    found = fingerprint(directory / "dataset")
    shutil.rmtree(directory / "dataset")
    return found


def killed(directory: Path, after_seconds: float) -> bool:
    """Whether the kill landed; else the run had ended before."""
    process = subprocess.Popen(command(directory), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, told = process.communicate(timeout=after_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return process.returncode == -signal.SIGKILL
    if process.returncode:
        raise SystemExit(told.decode())
    return False


def kept(directory: Path) -> int:
    """Images that the next run need not read."""
    journal = directory / ".dataset.ingest" / "journal"
    if not journal.exists():
        return 0
    with sqlite3.connect(journal) as sql:
        if not sql.execute("SELECT 1 FROM sqlite_master").fetchone():
            return 0
        return int(sql.execute("SELECT count(*) FROM images WHERE spool_end IS NOT NULL").fetchone()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--patients", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="3 kills, 60 patients")
    options = parser.parse_args()
    if options.quick:
        options.kills, options.patients = 3, 60
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="ingest_kills.") as name:
        directory = Path(name)
        synth = ("synth", directory / "synthetic", "--patients", options.patients, "--seed", options.seed)
        subprocess.run([sys.executable, "-m", "raydino", *map(str, synth)], check=True, capture_output=True)
        reference, seconds, images = undisturbed(directory)
        print(f"undisturbed: {images} files in {seconds:.1f} s, {reference}", flush=True)
        kills, datasets, identical, moments, keeps = 0, 0, 0, [], []
        is_finished = False
        while kills < options.kills or not is_finished:
            moment = rng.uniform(0, seconds) if kills < options.kills else 600.0
            if killed(directory, moment):
                kills += 1
                moments.append(round(moment, 2))
                keeps.append(kept(directory))
                print(f"killed after {moment:.1f} s, {keeps[-1]} of {images} files are done", flush=True)
            # A run that was killed as its last word was spoken has finished, too.
            is_finished = (directory / "dataset").exists() and not (directory / ".dataset.ingest").exists()
            if not is_finished:
                continue
            datasets += 1
            found = taken(directory)
            identical += found == reference
            print(f"finished: {found}", flush=True)
    figures = {
        "benchmark": "ingest_kills",
        "machine": {"cpu": platform.processor() or platform.machine(), "python": platform.python_version()},
        "config": {"kills": options.kills, "patients": options.patients, "files": images, "seed": options.seed},
        "undisturbed_seconds": round(seconds, 2),
        "kill_moments_seconds": moments,
        "files_done_at_kill": keeps,
        "datasets": datasets,
        "ratios": {"identical": identical / datasets},
    }
    print(json.dumps(figures))
    if identical < datasets:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
