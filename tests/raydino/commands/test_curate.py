"""``raydino curate`` on films, features and foreign embeddings; by one process, by two, and by one that was killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import read_header
from raydino.artifacts.selection import PAIRS, ROWS
from raydino.cli import run
from raydino.config import load_config
from raydino.curation.recipe import CurateConfig
from raydino.data.pool import Pool
from raydino.testing.tiny import tiny_dataset, tiny_encoder

RECIPE = {
    "seed": 1,
    "readout": "cls_mean",
    "duplicates": {"threshold": 0.97, "neighbours": 4},
    "levels": [{"n_clusters": 8, "n_resamplings": 1}, {"n_clusters": 3, "n_resamplings": 1}],
    "sampling": {"use": "subset", "budget": 10},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A directory with dataset, encoder, features and config."""
    place = tmp_path_factory.mktemp("curate")
    tiny_dataset(place / "dataset")
    tiny_encoder(place / "encoder")
    assert (
        run(["embed", str(place / "dataset"), "--encoder", str(place / "encoder"), "--out", str(place / "features")])
        == 0
    )
    (place / "config.yaml").write_text(yaml.safe_dump({"recipe": RECIPE}))
    return place


def words(made, source, out, *more):
    return ["curate", str(made / source), "--config", str(made / "config.yaml"), "--out", str(out), *map(str, more)]


def test_films_and_their_features_give_one_selection(made, tmp_path, capsys):
    assert run(words(made, "dataset", tmp_path / "films", "--encoder", made / "encoder")) == 0
    assert "10 of 24 selected; left out: " in capsys.readouterr().out
    assert run(words(made, "features", tmp_path / "features", "--data", made / "dataset")) == 0
    tables = [ROWS.read(tmp_path / name / "selection.parquet") for name in ("films", "features")]
    decided = ["sample_id", "selected", "reason", "duplicate_of", "cluster_l1", "cluster_l2"]
    pd.testing.assert_frame_equal(tables[0][decided], tables[1][decided])
    header = read_header(tmp_path / "films")
    assert header.config["recipe"]["seed"] == header.seed == 1
    assert header.config["found"]["clusters"][1] == 3
    assert header.inputs.keys() == {"dataset", "encoder"}
    assert {p.name for p in (tmp_path / "films").iterdir()} >= {
        "report.html",
        "report.json",
        "pairs_of_two_patients.png",
        "clusters.png",
    }
    assert PAIRS.read(tmp_path / "films/pairs.parquet")["similarity"].ge(0.97).all()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []

    assert len(Pool.of(Dataset.open(made / "dataset"), tmp_path / "films").sample_ids) == 10


def test_copies_are_found_before_there_is_an_encoder(made, tmp_path, capsys):
    (tmp_path / "copies.yaml").write_text(yaml.safe_dump({"recipe": {"duplicates": RECIPE["duplicates"]}}))
    arguments = ["curate", made / "dataset", "--config", tmp_path / "copies.yaml", "--out", tmp_path / "s"]
    assert run([str(word) for word in arguments]) == 0
    assert "of 24 selected" in capsys.readouterr().out
    table = ROWS.read(tmp_path / "s/selection.parquet")
    assert set(table["reason"].dropna()) <= {"near_duplicate", "leak"}
    assert read_header(tmp_path / "s").inputs.keys() == {"dataset"}


@pytest.mark.parametrize("path", sorted(Path("configs/curate").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_is_complete(path):
    assert load_config(path, CurateConfig).recipe.resolved()


def test_foreign_embeddings(made, tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "v.npy", rng.normal(size=(30, 5)).astype(np.float32))
    (tmp_path / "v.ids.txt").write_text("\n".join(f"report {i}" for i in range(30)))
    alike = ["--set", "recipe.duplicates.compare=vectors"]
    assert run(["curate", str(tmp_path / "v.npy"), *words(made, "", tmp_path / "s", *alike)[2:]]) == 0
    assert "10 of 30 selected" in capsys.readouterr().out
    assert ROWS.read(tmp_path / "s/selection.parquet")["sample_id"][3] == "report 3"
    assert not (tmp_path / "s/clusters.png").exists()


def test_two_processes_give_the_table_of_one(made, tmp_path):
    assert run(words(made, "dataset", tmp_path / "one", "--encoder", made / "encoder")) == 0
    joined = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "29611",
        "-m",
        "raydino",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    two = words(made, "dataset", tmp_path / "two", "--encoder", made / "encoder")
    done = subprocess.run([*joined, *two], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert read_header(tmp_path / "two").fingerprint == read_header(tmp_path / "one").fingerprint


def test_goes_on_after_a_kill(made, tmp_path, monkeypatch):
    assert run(words(made, "dataset", tmp_path / "whole", "--encoder", made / "encoder")) == 0

    def dies(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr("raydino.curation.curate._sample", dies)
        assert run(words(made, "dataset", tmp_path / "torn", "--encoder", made / "encoder")) == 1
    assert (tmp_path / ".torn.curate").is_dir()
    assert not (tmp_path / "torn").exists()
    assert run(words(made, "dataset", tmp_path / "torn", "--encoder", made / "encoder")) == 0
    assert read_header(tmp_path / "torn").fingerprint == read_header(tmp_path / "whole").fingerprint
    assert not (tmp_path / ".torn.curate").exists()


@pytest.mark.parametrize(
    ("source", "more", "told"),
    [
        ("dataset", [], "a dataset needs --encoder"),
        ("nowhere", [], "no such file or directory"),
        ("config.yaml", [], "is neither a features artifact nor .npy nor .parquet"),
        ("features", ["--set", "recipe.levels=[]"], "levels and sampling go together"),
        ("features", ["--set", "recipe.sampling.budget=5000"], "recipe.sampling: cannot sample 5,000 of"),
        ("features", ["--set", "recipe.retrieval={by: sample, k: 3}"], "retrieval without queries"),
        ("features", ["--set", "recipe.level=[]"], "recipe.level"),
    ],
)
def test_faults_are_one_line(made, tmp_path, capsys, source, more, told):
    data = ["--data", made / "dataset"] if source == "features" else []
    assert run(words(made, source, tmp_path / "s", *data, *more)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert told in error
    assert not (tmp_path / "s").exists()
