from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from raydino.artifacts.dataset import Dataset
from raydino.cli import run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    source = tmp_path / "images"
    source.mkdir()
    rows = ["file,patient_id,Effusion,grade"]
    for index in range(3):
        film = np.random.default_rng(index).integers(0, 256, (40, 32), dtype=np.uint8)
        cv2.imwrite(str(source / f"{index}.png"), film)
        rows.append(f"{index}.png,P{index},{index % 2},{index}")
    (source / "images.csv").write_text("\n".join(rows))
    return source


def test_the_summary(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ingest", str(images), "--out", str(tmp_path / "d"), "--shorter-side", "16", "--bits", "16"]
    assert run([*arguments, "--workers", "1"]) == 0
    told = capsys.readouterr().out
    for expected in ("3 films of 3 patients", "present 1, absent 2, unknown 0", "no label: grade", "d.key"):
        assert expected in told
    assert Dataset.open(tmp_path / "d").pixels["bits"] == 16


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--bits", "12"], "--bits 12 is not possible; 8 or 16"),
        (["--reader", "imagse"], "did you mean 'images'"),
        (["--shorter-side", "3"], "shorter"),
        (["--labels", "gone.csv"], "gone.csv: cannot be read"),
        (["--uncertain", "maybe"], "'maybe' is not one of"),
        (["--on", "spark://here:1"], "--on spark://here:1 is not possible; dask://HOST:PORT of a Dask scheduler"),
    ],
)
def test_one_line_for_a_fault(
    images: Path, tmp_path: Path, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", str(images), "--out", str(tmp_path / "d"), *extra]) == 2
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told
    assert not (tmp_path / "d").exists()
    assert not (tmp_path / "d.key").exists()


def test_an_existing_dataset_needs_overwrite(images: Path, tmp_path: Path) -> None:
    arguments = ["ingest", str(images), "--out", str(tmp_path / "d"), "--workers", "1", "--shorter-side", "16"]
    assert [run(arguments), run(arguments), run([*arguments, "--overwrite"])] == [0, 2, 0]


def test_an_address_that_no_reader_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ingest", "gopher://old.example/films", "--out", str(tmp_path / "d")]) == 2
    assert "gopher://old.example/films: no reader knows this kind of address" in capsys.readouterr().err


def test_the_help_comes_without_the_heavy_libraries() -> None:
    code = (
        "import sys; from raydino.cli import run; code = run(['ingest', '--help']);"
        "heavy = {'numpy', 'pandas', 'pydicom', 'cv2', 'torch', 'distributed', 'sqlite3'} & set(sys.modules);"
        "sys.exit(code or len(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for option in ("--on", "--uncertain", "--with-reports", "dicomweb+http", "goes on where it was"):
        assert option in done.stdout
