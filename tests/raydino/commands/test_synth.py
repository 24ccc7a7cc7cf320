import subprocess
import sys
from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raydino", "synth", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_synth_writes_an_archive_and_refuses_to_write_over_it(tmp_path: Path) -> None:
    out = tmp_path / "archive"
    first = run(str(out), "--patients", "2", "--seed", "1", "--workers", "1", "--no-planted-bias")
    assert first.returncode == 0, first.stderr
    assert "films of 2 patients" in first.stdout
    assert (out / "labels.csv").is_file()
    again = run(str(out), "--patients", "2")
    assert again.returncode == 2
    assert "already exists" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_synth_refuses_no_patients(tmp_path: Path) -> None:
    result = run(str(tmp_path / "archive"), "--patients", "0")
    assert result.returncode == 2
    assert not (tmp_path / "archive").exists()
