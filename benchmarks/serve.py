"""Does the reading room keep the model busy? Films at growing rate against a real ``raydino serve``; the bare model.

An encoder of a hospital's size (ViT-B/14 at 224 pixels, weights at random) with a linear classification, masks by two
convolutions and a report decoder (6 layers of 384, 64 tokens, greedy); films of 2,500 x 2,048 pixels of 12 bits,
uncompressed, each with a SOP Instance UID and a few pixels of its own. The service is a process of its own.

  bare loop    ``Reader.read_film`` on films that are made already, one after another, in a process with as many
               threads as the service gives its model: no DICOM, no HTTP, no queue, no results
  saturated    in turns with it: as many films sent by four clients at once; films/s from the first byte sent to the
               last result on the disk
  at a rate    films sent at even times, at shares of the bare loop's films/s; seconds from the begin of the upload to
               the result, median and 95th percentile. The last rate is above what can be read

Processor seconds a film stand beside the wall clock, for other work on the machine disturbs the one and not the other.
Memory is the resident set of the service and of all its file processes, in ten parts of the run. The last line is one
JSON object.

    python benchmarks/serve.py                       1,000 films
    python benchmarks/serve.py --quick               under a minute on an idle machine: a small encoder, few films
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from raydino.phantom.demographics import sample_patient
from raydino.phantom.dicom_writer import FilmIdentity, dicom_bytes
from raydino.phantom.stored_values import Encoding, store
from raydino.phantom.studio import take_film

ROOT = Path(__file__).resolve().parent.parent
KINDS = 6  # films that differ in more than their number
RATES = (0.3, 0.6, 0.8, 0.9, 1.2)  # of the bare loop's films/s
MTF_SIGMA = 0.6  # pixels; the phantom's noise is sharper than a detector's
CLIENTS = 4
_LOOK_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    films: int
    rounds: int  # of bare loop and saturated service, which take half of the films
    threads: int  # of the model
    file_processes: int
    side: int  # in pixels, the shorter one of a film
    vit: dict[str, int]


BASE = {"image_size": 224, "patch_size": 14, "embed_dim": 768, "depth": 12, "n_heads": 12}
SMALL = {"image_size": 224, "patch_size": 14, "embed_dim": 384, "depth": 12, "n_heads": 6}


# ------------------------------------------------------------------------------------------------- what is read


def write_model(folder: Path, vit: dict[str, int]) -> tuple[Path, list[Path]]:
    """Encoder and adapters with weights at random: what they say is nonsense, and takes as long."""
    import torch

    from adapters.bundle import write_bundle
    from adapters.registry import ADAPTERS
    from raydino.artifacts.adapter import ADAPTER
    from raydino.artifacts.encoder import EncoderCard
    from raydino.artifacts.header import creating
    from raydino.config import parse_config
    from raydino.dicom.pixels import PixelRecipe
    from raydino.encoder import Encoder, save_encoder
    from raydino.nn.vit import VisionTransformer, ViTConfig
    from raydino.testing.tiny import tiny_dataset

    torch.manual_seed(0)
    dataset = tiny_dataset(folder / "dataset", n_patients=40)
    config = ViTConfig(**vit, n_registers=4)
    card = EncoderCard(vit=config.resolved(), pixels=PixelRecipe().resolved(), mean=0.5, std=0.25, steps=0)
    network = VisionTransformer(config).initialise(torch.Generator().manual_seed(0))
    save_encoder(folder / "encoder", network, card, inputs={})
    spec = Encoder.load(folder / "encoder").spec
    bundles = []
    for name, changed in (
        ("adapt/classification_linear", {}),
        ("tiny/segmentation_conv", {}),
        ("adapt/report_decoder", {"max_tokens": 64, "generation": {"method": "greedy"}}),
    ):
        values = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())
        values["recipe"] |= changed
        values["recipe"] = {key: value for key, value in values["recipe"].items() if key != "train_share"}
        cls = ADAPTERS.get(values["kind"])
        adapter = cls.begin(parse_config(values, cls.config_model, where=name), spec, dataset)
        adapter.keep(0)
        if adapter.task != "report":  # masks of everything: those of noise would have outlines of thousands of corners
            adapter.thresholds = dict.fromkeys(adapter.labels, 1e-6 if adapter.task == "segmentation" else 0.5)
        bundles.append(folder / adapter.task)
        with creating(bundles[-1], ADAPTER, config=adapter.config.resolved()) as directory:
            write_bundle(directory, adapter, {})
    return folder / "encoder", bundles


class Films:
    """Files by number, all different: made of a few by another UID of the same length and other last pixels."""

    def __init__(self, side: int) -> None:
        self.bases: list[tuple[bytes, bytes]] = []
        for number in range(KINDS):
            patient = sample_patient(np.random.default_rng([number, 0]), number)
            patient = replace(patient, site=replace(patient.site, short_side_px=side))
            film = take_film(np.random.default_rng([number, 1]), patient, patient.studies[0], "PA", planted_bias=False)
            shown = cv2.GaussianBlur(film.brightness, (0, 0), MTF_SIGMA)
            encoding = Encoding(False, 12, False, "window", False, "ExplicitVRLittleEndian", 0.05, 0.95)
            identity = FilmIdentity(number, patient, patient.studies[0], 1, "PA")
            content = dicom_bytes(identity, store(shown, encoding), film.spacing_mm)
            self.bases.append((content, identity.sop_uid.encode()))

    def content(self, number: int) -> bytes:
        """Of film ``number``."""
        content, uid = self.bases[number % KINDS]
        made = bytearray(content.replace(uid, uid[:-6] + b"%06d" % number))
        made[-8:] = number.to_bytes(4, "little") + made[-4:]
        made[-8:-4] = bytes((number >> shift) & 15 for shift in (0, 4, 8, 12))  # small values, of 12 bits
        return bytes(made)


# ----------------------------------------------------------------------------------------------------- the bare loop


def bare(pipe: Connection, encoder: Path, bundles: Sequence[Path], threads: int, contents: Sequence[bytes]) -> None:
    """In a process of its own: (seconds, processor seconds) for each number of films that comes through ``pipe``."""
    import torch

    from adapters.reading import Reader
    from raydino.data.one_film import film_of_dicom

    torch.set_num_threads(threads)
    reader = Reader.load(encoder, bundles, device="cpu")
    films = [film_of_dicom(content, reader.encoder.spec.pixels) for content in contents]
    pipe.send("ready")
    while (n := pipe.recv()) > 0:
        begun, used = time.perf_counter(), time.process_time()
        for number in range(n):
            reader.read_film(films[number % len(films)])
        pipe.send((time.perf_counter() - begun, time.process_time() - used))


class Bare:
    """The other end of it."""

    def __init__(self, *what: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=bare, args=(theirs, *what), daemon=True)
        self.process.start()
        self.pipe.recv()

    def read(self, n: int) -> tuple[float, float]:
        self.pipe.send(n)
        return self.pipe.recv()


# ----------------------------------------------------------------------------------------------------- the service


class Served:
    """``raydino serve`` as a process, and what it uses of the machine."""

    def __init__(self, folder: Path, encoder: Path, bundles: Sequence[Path], plan: Plan) -> None:
        command = [sys.executable, "-m", "raydino", "serve", "--encoder", encoder, "--folder", folder, "--port", "0"]
        command += [word for bundle in bundles for word in ("--adapter", bundle)]
        command += ["--file-processes", str(plan.file_processes), "--rate", "100000", "--device", "cpu"]
        environment = os.environ | {"OMP_NUM_THREADS": str(plan.threads), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        assert self.process.stdout is not None
        self.address = urlsplit(self.process.stdout.readline().split()[0]).netloc
        self.queue = sqlite3.connect(f"file:{folder}/queue.sqlite?mode=ro", uri=True, check_same_thread=False)
        self.ended: dict[str, tuple[str, float]] = {}  # state and moment, by job
        self.memory: list[tuple[float, float, float]] = []  # moment, MiB of the service, MiB of its file processes
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._end = threading.Event()
        self._looking.start()

    def send(self, content: bytes) -> tuple[str, float]:
        """The job, and when the upload began."""
        begun = time.perf_counter()
        while True:
            connection = http.client.HTTPConnection(self.address, timeout=300)
            connection.request("POST", "/studies", content, {"Content-Type": "application/dicom"})
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            if answer.status == 202:
                return json.loads(said)["jobs"][0]["id"], begun
            if answer.status not in (429, 503):
                raise SystemExit(f"the service answers {answer.status}: {said[:200]!r}")
            time.sleep(1)

    def _look(self) -> None:
        """Into its queue, as nobody asks a service fifty times a second; and at its memory."""
        looked = 0.0
        while not self._end.wait(_LOOK_SECONDS):
            rows = self.queue.execute("SELECT id, state FROM jobs WHERE state NOT IN ('waiting', 'reading')").fetchall()
            now = time.perf_counter()
            for job, state in rows:
                self.ended.setdefault(job, (state, now))
            if now - looked > 1:
                looked, pids = now, tree(self.process.pid)
                self.memory.append((now, resident(pids[:1]), resident(pids[1:])))

    def wait_for(self, jobs: Sequence[str], seconds: float = 3600) -> float:
        """When the last of them ended."""
        end = time.monotonic() + seconds
        while not all(job in self.ended for job in jobs) and time.monotonic() < end and self.process.poll() is None:
            time.sleep(_LOOK_SECONDS)
        return max(self.ended[job][1] for job in jobs if job in self.ended)

    def used(self) -> tuple[float, float]:
        """Processor seconds of the service, and of its file processes."""
        pids = tree(self.process.pid)
        return cpu_seconds(pids[:1]), cpu_seconds(pids[1:])

    def stop(self) -> None:
        self._end.set()
        self._looking.join()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Their own and that of children that ended."""
    total = 0
    for pid in pids:
        try:
            total += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return total / _TICKS


def resident(pids: Sequence[int]) -> float:
    """MiB; shared pages count in each."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return total * os.sysconf("SC_PAGE_SIZE") / 2**20


# ---------------------------------------------------------------------------------------------------- measurements


@dataclass
class Found:
    """Of one run."""

    bare_seconds: list[float] = field(default_factory=list)  # a film, by round
    bare_cpu: list[float] = field(default_factory=list)
    served_seconds: list[float] = field(default_factory=list)
    service_cpu: list[float] = field(default_factory=list)
    files_cpu: list[float] = field(default_factory=list)
    rates: list[dict[str, float]] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


def saturate(served: Served, films: Films, numbers: Sequence[int], found: Found) -> None:
    """All at once."""
    before, begun = served.used(), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [job for job, _ in pool.map(lambda number: served.send(films.content(number)), numbers)]
    last, after = served.wait_for(jobs), served.used()
    found.served_seconds.append((last - begun) / len(numbers))
    found.service_cpu.append((after[0] - before[0]) / len(numbers))
    found.files_cpu.append((after[1] - before[1]) / len(numbers))
    found.jobs += jobs


def at_rate(served: Served, films: Films, numbers: Sequence[int], rate: float, found: Found) -> None:
    """At even times, whatever the service does."""
    begun = time.perf_counter() + 0.1

    def send(place: int) -> tuple[str, float]:
        content = films.content(numbers[place])
        time.sleep(max(0.0, begun + place / rate - time.perf_counter()))
        return served.send(content)

    with ThreadPoolExecutor(CLIENTS) as pool:
        sent = list(pool.map(send, range(len(numbers))))
    last = served.wait_for([job for job, _ in sent])
    seconds = sorted(served.ended[job][1] - moment for job, moment in sent if job in served.ended)
    found.rates.append(
        {
            "asked_per_s": round(rate, 3),
            "sent_per_s": round((len(sent) - 1) / max(sent[-1][1] - sent[0][1], 1e-9), 3),
            "read_per_s": round(len(sent) / (last - begun), 3),
            "p50_s": round(float(np.percentile(seconds, 50)), 3),
            "p95_s": round(float(np.percentile(seconds, 95)), 3),
        }
    )
    found.jobs += [job for job, _ in sent]


def measure(plan: Plan, folder: Path, console: Console) -> tuple[Found, Served]:
    encoder, bundles = write_model(folder, plan.vit)
    films = Films(plan.side)
    console.print(f"films of {len(films.bases[0][0]) / 2**20:.1f} MiB")
    alone = Bare(encoder, bundles, plan.threads, [films.content(number) for number in range(KINDS)])
    served, found = Served(folder / "room", encoder, bundles, plan), Found()
    numbers = iter(range(KINDS, 10**6))
    try:
        alone.read(2)
        served.wait_for([served.send(films.content(next(numbers)))[0] for _ in range(2 * plan.file_processes)])
        each = max(4, plan.films // 2 // plan.rounds)
        for _ in range(plan.rounds):
            seconds, cpu = alone.read(each)
            found.bare_seconds.append(seconds / each)
            found.bare_cpu.append(cpu / each)
            saturate(served, films, [next(numbers) for _ in range(each)], found)
            console.print(
                f"bare loop {1 / found.bare_seconds[-1]:.2f} films/s, service {1 / found.served_seconds[-1]:.2f}; "
                f"processor seconds a film {found.bare_cpu[-1]:.3f}, {found.service_cpu[-1]:.3f} + "
                f"{found.files_cpu[-1]:.3f} of files"
            )
        for share in RATES:
            rate = share / statistics.median(found.bare_seconds)
            some = [next(numbers) for _ in range(max(3, plan.films // 2 // len(RATES)))]
            at_rate(served, films, some, rate, found)
            console.print(str(found.rates[-1]))
    finally:
        served.stop()
        alone.pipe.send(0)
    return found, served


def summary(plan: Plan, found: Found, served: Served) -> dict[str, Any]:
    ratios = [bare / ours for bare, ours in zip(found.bare_seconds, found.served_seconds, strict=True)]
    parts = np.array_split(np.array(served.memory), 10)
    memory = [[round(float(value)) for value in part[:, 1:].max(axis=0)] for part in parts if len(part)]
    states = [served.ended.get(job, ("lost", 0.0))[0] for job in found.jobs]
    return {
        "films": len(found.jobs),
        "threads": plan.threads,
        "file_processes": plan.file_processes,
        "bare_films_per_s": round(1 / statistics.median(found.bare_seconds), 3),
        "service_films_per_s": round(1 / statistics.median(found.served_seconds), 3),
        "of_bare": round(statistics.median(ratios), 3),
        "of_bare_by_round": [round(ratio, 3) for ratio in ratios],
        "cpu_s_a_film": {
            "bare": round(statistics.median(found.bare_cpu), 3),
            "service": round(statistics.median(found.service_cpu), 3),
            "file_processes": round(statistics.median(found.files_cpu), 3),
        },
        "rates": found.rates,
        "lost": sum(state != "read" for state in states) + len(states) - len(set(found.jobs)),
        "mib_service_and_file_processes_by_tenth": memory,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of the model, in the service and in the bare loop")
    parser.add_argument("--file-processes", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="ViT-S/14 instead of ViT-B/14")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    quick = given.quick
    films, rounds = (16, 2) if quick else (given.films, given.rounds)
    vit = SMALL if quick or given.small else BASE
    plan = Plan(films, rounds, given.threads, given.file_processes, 1024 if quick else 2048, vit)
    console = Console(stderr=True)
    folder = Path(tempfile.mkdtemp(prefix="raydino-serve-"))
    try:
        found, served = measure(plan, folder, console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = Table("films/s asked", "sent", "read", "p50 s", "p95 s")
    for row in found.rates:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)
    print(json.dumps(summary(plan, found, served)))


if __name__ == "__main__":
    main()
