"""How fast is ingest, against a plain pydicom loop and against the decoders alone? And how much memory?

One core each, in one run, interleaved, on the same files: films of the phantom at some 2,500 x 2,048
pixels of 12 bits (each of its own size, so resizing is by broken factors), blurred to the bits a pixel
of a real CR. Per transfer syntax, medians of files/s over rounds:

  raydino       ingest's work on a file: header, screening, decoding, rendering, resizing to 512, PNG
  pydicom loop  dcmread, pixel_array, apply_modality_lut, apply_voi_lut, inversion, cv2 area resize, PNG
  decode only   dcmread and the same plugin's bytes, in a plain process
  ... kept      the same, with the allocator's setting that raydino's workers have (dicom/allocator.py)

Then the whole ``raydino ingest`` with one worker and with two, and its peak memory (resident pages of all
its processes, shared ones counted in each) over the number of films. The last line is one JSON object.

    python benchmarks/ingest.py                some six minutes on two cores
    python benchmarks/ingest.py --quick        under a minute: fewer films, rounds and files
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut, get_decoder
from rich.console import Console
from rich.table import Table

from raydino.dicom.allocator import keep_memory
from raydino.dicom.decode import plugins_of
from raydino.dicom.film import Work, prepare_worker, read_film
from raydino.dicom.pixels import PixelRecipe
from raydino.phantom.demographics import sample_patient
from raydino.phantom.dicom_writer import FilmIdentity, dicom_bytes
from raydino.phantom.stored_values import Encoding, store
from raydino.phantom.studio import take_film
from raydino.readers.base import SourceImage

SYNTAXES = {
    "uncompressed": "ExplicitVRLittleEndian",
    "rle": "RLELossless",
    "jpeg_ls": "JPEGLSLossless",
    "jpeg_lossless": "JPEGLosslessSV1",  # by dcmtk's dcmcjpeg
    "jpeg_2000": "JPEG2000Lossless",
}
MTF_SIGMA = 0.6  # pixels; the phantom's noise is sharper than a detector's
MODES = ("raydino", "pydicom loop", "decode only", "decode only, kept")


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    films: int  # of each syntax
    rounds: int
    repeats: int  # of each film in the whole ingest
    small: tuple[int, int]  # films of the two measurements of memory


def write_films(folder: Path, films: int) -> tuple[dict[str, list[Path]], dict[str, float]]:
    """Files by syntax, and the bits a pixel of each syntax."""
    files: dict[str, list[Path]] = {}
    bits: dict[str, list[float]] = {}
    for number in range(films):
        patient = sample_patient(np.random.default_rng([number, 0]), number)
        patient = replace(patient, site=replace(patient.site, short_side_px=2048))
        film = take_film(np.random.default_rng([number, 1]), patient, patient.studies[0], "PA", planted_bias=False)
        shown = cv2.GaussianBlur(film.brightness, (0, 0), MTF_SIGMA)
        for name, syntax in SYNTAXES.items():
            by_dcmtk = name == "jpeg_lossless"
            if by_dcmtk and not shutil.which("dcmcjpeg"):
                continue
            written = "ExplicitVRLittleEndian" if by_dcmtk else syntax
            encoding = Encoding(False, 12, number % 2 == 1, "window", False, written, 0.05, 0.95)
            identity = FilmIdentity(number, patient, patient.studies[0], 1, "PA", copy=name)
            path = folder / f"{name}-{number}.dcm"
            path.write_bytes(dicom_bytes(identity, store(shown, encoding), film.spacing_mm))
            if by_dcmtk:
                subprocess.run(["dcmcjpeg", "+e1", path, path], check=True)
            files.setdefault(name, []).append(path)
            bits.setdefault(name, []).append(8 * path.stat().st_size / shown.size)
    return files, {name: round(statistics.mean(values), 2) for name, values in bits.items()}


def by_raydino(path: Path) -> Any:
    film = read_film(Work(PixelRecipe(512, 8)), SourceImage(path.name, path=path)).film
    assert film is not None
    return film.png


def by_pydicom_loop(path: Path) -> Any:
    """What people write: PS3.3 C.11 by pydicom's own functions, then OpenCV."""
    dataset = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    low, high = float(values.min()), float(values.max())
    grey = (values - low) / (high - low)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = 1 - grey
    scale = 512 / min(grey.shape)
    size = round(grey.shape[1] * scale), round(grey.shape[0] * scale)
    film = cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", np.rint(film * 255).astype(np.uint8))[1].tobytes()


def by_decoder(path: Path) -> Any:
    dataset = pydicom.dcmread(path)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    options: dict[str, Any] = {} if decoder.is_native else {"decoding_plugin": plugins_of(decoder)[0]}
    return decoder.as_buffer(dataset, index=0, **options)[0]


def serve(mode: str, pipe: Connection) -> None:
    """A process of one mode: seconds for each path that it is sent, until None."""
    work: dict[str, tuple[Callable[[], Any], Callable[[Path], Any]]] = {
        "raydino": (prepare_worker, by_raydino),
        "pydicom loop": (lambda: None, by_pydicom_loop),
        "decode only": (lambda: None, by_decoder),
        "decode only, kept": (keep_memory, by_decoder),
    }
    prepare, function = work[mode]
    cv2.setNumThreads(1)
    prepare()
    while (path := pipe.recv()) is not None:
        start = time.perf_counter()
        function(path)
        pipe.send(time.perf_counter() - start)


def files_per_second(files: dict[str, list[Path]], rounds: int) -> dict[str, dict[str, float]]:
    """Per syntax and mode; the modes take turns film by film, and a first round warms up."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for mode in MODES:
        pipes[mode], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(mode, theirs), daemon=True))
        processes[-1].start()
    rates: dict[str, dict[str, float]] = {}
    for name, paths in files.items():
        seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
        for turn in range(rounds + 1):
            spent = dict.fromkeys(MODES, 0.0)
            for path in paths:
                for mode in MODES:
                    pipes[mode].send(path)
                    spent[mode] += pipes[mode].recv()
            if turn:
                for mode in MODES:
                    seconds[mode].append(spent[mode])
        rates[name] = {mode: len(paths) / statistics.median(seconds[mode]) for mode in MODES}
    for mode, process in zip(MODES, processes, strict=True):
        pipes[mode].send(None)
        process.join()
    return rates


def resident_bytes(root: int) -> int:
    """Resident pages of a process and all that it started (Linux)."""
    parents, pages = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            pages[int(entry.name)] = int((entry / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    tree = {root}
    while grown := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return sum(pages.get(pid, 0) for pid in tree) * os.sysconf("SC_PAGE_SIZE")


def run_ingest(source: Path, out: Path, workers: int) -> tuple[float, float]:
    """Seconds and peak MiB of the whole command."""
    command = [sys.executable, "-m", "raydino", "ingest", source, "--out", out, "--workers", str(workers)]
    command += ["--smallest-side", "16"]  # the films that measure memory are thumbnails otherwise
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, resident_bytes(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    assert status == 0, f"raydino ingest ended with {status}"
    return seconds, peak / 2**20


def scaling(files: dict[str, list[Path]], folder: Path, repeats: int) -> tuple[int, dict[int, float]]:
    """How many films, and files/s of the whole ingest with one worker and with two."""
    source = folder / "whole"
    source.mkdir()
    number = 0
    for paths in files.values():
        for path in paths:
            for _ in range(repeats):  # copies are read, rendered and only then found to be duplicates
                os.link(path, source / f"{number:05d}")
                number += 1
    rates = {}
    for workers in (1, 2):
        seconds, _ = run_ingest(source, folder / f"whole-{workers}", workers)
        rates[workers] = number / seconds
    return number, rates


def small_films(folder: Path, count: int) -> Path:
    """A tree of ``count`` different films of 64 x 64 pixels."""
    source = folder / f"small-{count}"
    rng = np.random.default_rng(0)
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = pydicom.uid.ComputedRadiographyImageStorage
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "CR", "CHEST", "PA"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = 64
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    for number in range(count):
        uid = f"1.2.826.0.1.3680043.8.498.1.{number}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.StudyInstanceUID, dataset.PatientID = f"{uid}.1", f"P{number // 2}"
        dataset.add_new("PixelData", "OW", rng.integers(0, 4096, 64 * 64).astype("<u2").tobytes())
        path = source / f"{number // 500:03d}" / f"{number:06d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        path.write_bytes(buffer.getvalue())
    return source


def report(rates: dict[str, dict[str, float]], bits: dict[str, float]) -> dict[str, dict[str, float]]:
    """Print the table; the ratios by name."""
    table = Table(title="files/s on one core, 12-bit films of some 2,500 x 2,048", title_justify="left")
    for column in ("syntax", "bits/pixel", *MODES, "vs pydicom loop", "vs decode only", "… kept"):
        table.add_column(column)
    ratios: dict[str, dict[str, float]] = {}
    peers = {"vs_pydicom_loop": MODES[1], "vs_decode_only": MODES[2], "vs_decode_only_kept": MODES[3]}
    for name, rate in rates.items():
        for ratio, peer in peers.items():
            ratios.setdefault(ratio, {})[name] = round(rate["raydino"] / rate[peer], 3)
        figures = [f"{rate[mode]:.1f}" for mode in MODES] + [f"{ratios[ratio][name]:.2f}" for ratio in peers]
        table.add_row(name, f"{bits[name]}", *figures)
    Console(width=140).print(table)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    plan = Plan(1, 3, 3, (100, 500)) if parser.parse_args().quick else Plan(4, 7, 6, (1_000, 10_000))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "films").mkdir()
        files, bits = write_films(folder / "films", plan.films)
        rates = files_per_second(files, plan.rounds)
        ratios: dict[str, Any] = report(rates, bits)
        films, whole = scaling(files, folder, plan.repeats)
        print(f"raydino ingest, {films} films: {whole[1]:.1f} files/s with one worker, {whole[2]:.1f} with two")
        memory = {}
        for count in plan.small:
            _, memory[count] = run_ingest(small_films(folder, count), folder / f"memory-{count}", 2)
            print(f"raydino ingest, {count} small films: {memory[count]:.0f} MiB at most")
    few, many = plan.small
    ratios["two_workers_vs_one"] = round(whole[2] / whole[1], 3)
    ratios["memory_many_vs_few"] = round(memory[many] / memory[few], 3)
    print(
        json.dumps(
            {
                "benchmark": "ingest",
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "config": {"films": plan.films, "rounds": plan.rounds, "whole": films, "memory_at": plan.small},
                "ratios": ratios,
                "files_per_second": {n: {m: round(v, 2) for m, v in rate.items()} for n, rate in rates.items()},
                "whole_files_per_second": {str(n): round(v, 2) for n, v in whole.items()},
                "peak_mib": {str(n): round(v) for n, v in memory.items()},
                "bits_per_pixel": bits,
            }
        )
    )


if __name__ == "__main__":
    main()
