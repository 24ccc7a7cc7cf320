from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from raydino.artifacts.adapter import ADAPTER, AdapterCard, write_card
from raydino.artifacts.audit import AUDIT, GAPS, STRATA
from raydino.artifacts.encoder import ENCODER, EncoderCard, write_encoder_card
from raydino.artifacts.features import ARRAYS, FEATURES, INDEX
from raydino.artifacts.header import Schema, creating, write_json
from raydino.artifacts.predictions import PREDICTIONS, TABLES
from raydino.artifacts.run import start_run
from raydino.artifacts.table import Table
from raydino.cli import run
from raydino.testing.tiny import tiny_dataset


def told_of(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["inspect", str(path)]) == 0
    return capsys.readouterr().out


def one_row(table: Table, known: dict[str, object]) -> pd.DataFrame:
    """A row of ``table``: what is known, and anything of the right kind for the rest."""
    filler = {"string": "ok", "int": 1, "float": 0.5, "bool": False}
    return pd.DataFrame([{c.name: known.get(c.name, filler[c.kind]) for c in table.columns}])


def test_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tiny_dataset(tmp_path / "d", n_patients=10)
    told = told_of(tmp_path / "d", capsys)
    for expected in ("21: accepted 20, rejected 1", "patients", "minimum, quartiles, maximum", "Nodule"):
        assert expected in told
    for expected in ("rejected: 1 of 21 files", "not_chest", "not a film of the chest", "accepted: 20 films"):
        assert expected in told
    for expected in ("age in years", "sex", "view", "site", "manufacturer", "SIEMENS", "north", "2019", "█"):
        assert expected in told
    assert dataset.header.fingerprint in told


def test_pictures_of_a_dataset_and_of_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_dataset(tmp_path / "d", n_patients=3)
    assert run(["inspect", str(tmp_path / "d"), "--out", str(tmp_path / "pictures")]) == 0
    assert str(tmp_path / "pictures" / "rejected.png") in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        *("distributions.png", "accepted.png", "rejected.png")
    }
    with creating(tmp_path / "f", FEATURES) as directory:
        INDEX.write(pd.DataFrame({"sample_id": ["a"]}), directory / "index.parquet")
        for name in ARRAYS:
            np.save(directory / f"{name}.npy", np.zeros((1, 2), np.float32))
    assert run(["inspect", str(tmp_path / "f"), "--out", str(tmp_path / "more")]) == 2
    assert "--out is for datasets and runs" in capsys.readouterr().err


RECIPE = {"steps": 600, "batch_size": 32, "head": {"n_prototypes": 1024}, "optimizer": {"warmup_steps": 60}}


def a_run(path: Path, lines: list[dict[str, object]], recipe: dict[str, object] = RECIPE) -> Path:
    start_run(path, config=recipe, seed=3, inputs={"dataset": "feed"})
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[dict[str, object]] = [
        {"step": 10, "loss": 2.5, "seconds_per_step": 0.5, "knn_auroc": 0.71234},
        {"step": 20, "loss": 1.25, "seconds_per_step": 0.25, "knn_auroc": 0.65, "linear_auroc": None},
    ]
    run_path = a_run(tmp_path / "r", lines)
    (run_path / "checkpoints" / "step-20").mkdir(parents=True)
    (run_path / "curves.png").write_bytes(b"png")
    told = " ".join(told_of(run_path, capsys).split())
    for expected in ("made from dataset", "feed", "20 of 600", "1.25", "step-20", "none yet", "no sign of it"):
        assert expected in told
    assert "85.3 images/s, 0.375 s a step; 4 minutes left at that" in told
    assert "0.712 at step 10; last 0.650" in told
    assert "curves.png" in told
    assert "crops.png" not in told


def test_a_run_that_learns_nothing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [{"step": step, "loss": 13.8, "teacher_entropy": 6.93} for step in range(20, 420, 20)]
    told = " ".join(told_of(a_run(tmp_path / "r", lines), capsys).split())
    assert "targets have been uniform since step 80" in told
    assert "no sign of it" not in told


def test_a_run_of_another_recipe_and_one_without_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "steps done" in told_of(a_run(tmp_path / "r", [{"step": 3, "loss": 1.0}], recipe={}), capsys)
    start_run(tmp_path / "new", config=RECIPE, seed=3, inputs={})
    assert "0 of 600" in told_of(tmp_path / "new", capsys)


def test_the_page_of_a_run_holds_its_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_path = a_run(tmp_path / "r<1>", [{"step": 10, "loss": 2.5}])
    (run_path / "crops.png").write_bytes(b"\x89PNG picture")
    assert run(["inspect", str(run_path), "--out", str(tmp_path / "page")]) == 0
    page = (tmp_path / "page" / "run.html").read_text(encoding="utf-8")
    assert base64.b64encode(b"\x89PNG picture").decode() in page
    assert "r&lt;1&gt;" in page
    assert "10 of 600" in page
    assert 'src="/' not in page  # nothing is fetched from anywhere


def test_an_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with creating(tmp_path / "e", ENCODER) as directory:
        write_encoder_card(directory, EncoderCard({"embed_dim": 96}, {"bits": 8}, 0.5, 0.25, 0))
    told = told_of(tmp_path / "e", capsys)
    assert "embed_dim 96" in told
    assert "random initialisation" in told


def test_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with creating(tmp_path / "f", FEATURES) as directory:
        INDEX.write(pd.DataFrame({"sample_id": ["a", "b"]}), directory / "index.parquet")
        for name in ARRAYS:
            np.save(directory / f"{name}.npy", np.zeros((2, 5), np.float32))
    assert "2 × 5 float32" in told_of(tmp_path / "f", capsys)
    (tmp_path / "f" / "cls.npy").unlink()
    assert run(["inspect", str(tmp_path / "f")]) == 2


def test_an_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with creating(tmp_path / "a", ADAPTER) as directory:
        card = AdapterCard("linear", "classification", {"lr": 0.1}, ("Edema",), {"Edema": 0.31}, "beef", {})
        write_card(directory, card)
        write_json(directory / "metrics.json", {"val": {"auroc": 0.81234}})
    told = told_of(tmp_path / "a", capsys)
    for expected in ("linear (classification)", "Edema 0.31", "beef", "val.auroc", "0.8123"):
        assert expected in told


def test_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"sample_id": ["a", "b"], "patient_id": ["p", "p"], "split": "test", "task": "classification"}
    rows |= {"label": "Edema", "target": [1.0, None], "score": 0.5, "threshold": 0.5}
    with creating(tmp_path / "p", PREDICTIONS, config={"task": "classification"}) as directory:
        TABLES["classification"].write(pd.DataFrame(rows), directory / "predictions.parquet")
    assert "2 of 2 films, 1 patients" in told_of(tmp_path / "p", capsys)


def test_an_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"axis": "sex", "stratum": "F", "label": "Edema", "metric": "auroc", "gap": -0.1}
    known |= {"ci_low": -0.2, "ci_high": -0.05, "p_adjusted": 0.02, "flagged": True, "verdict": "different"}
    with creating(tmp_path / "x", AUDIT) as directory:
        STRATA.write(one_row(STRATA, known), directory / "strata.parquet")
        GAPS.write(one_row(GAPS, known), directory / "gaps.parquet")
    told = told_of(tmp_path / "x", capsys)
    assert "flagged 1" in told
    assert "different 1" in told
    assert "-0.100 (-0.200 to -0.050), adjusted p 0.02" in told


def test_a_kind_of_tomorrow_and_no_artifact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with creating(tmp_path / "new", Schema("hologram", 3)):
        pass
    assert "hologram, version 3" in told_of(tmp_path / "new", capsys)
    assert run(["inspect", str(tmp_path)]) == 2
    assert "holds no artifact.json" in capsys.readouterr().err


def test_it_imports_no_torch(tmp_path: Path) -> None:
    start_run(tmp_path / "r", config={}, seed=0, inputs={})
    code = "import sys; from raydino.cli import run; code = run(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(tmp_path / "r")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
