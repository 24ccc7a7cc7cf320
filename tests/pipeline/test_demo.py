"""The whole way in small: every command of the demo, and a second run that does nothing again."""

import json
from pathlib import Path

import pytest
import yaml

import raydino
from raydino.cli import run
from raydino.demo import find_companions
from raydino.errors import UserError

CONFIGS = Path(raydino.__file__).parent.parent / "configs" / "tiny"


@pytest.fixture(scope="module")
def configs(tmp_path_factory) -> Path:
    """The tiny configs, tinier still."""
    target = tmp_path_factory.mktemp("configs")
    for path in CONFIGS.glob("*.yaml"):
        values = yaml.safe_load(path.read_text())
        recipe = values["recipe"]
        recipe.update({"epochs": 1, "patience": 1} if "epochs" in recipe else {"steps": 3, "batch_size": 4})
        if path.name == "pretrain.yaml":
            values["runtime"]["n_workers"] = 0
        (target / path.name).write_text(yaml.safe_dump(values))
    return target


def test_from_an_archive_to_a_report_and_again(configs, tmp_path, capsys):
    out = tmp_path / "demo"
    arguments = ["demo", "--out", str(out), "--patients", "60", "--configs", str(configs)]
    assert run(arguments) == 0
    first = capsys.readouterr().out
    html = (out / "audit" / "report.html").read_text(encoding="utf-8")
    assert "Research use only" in html
    assert "What differs" in html
    for verb in ("synth", "ingest", "pretrain", "export", "embed", "adapt fit", "adapt predict", "audit"):
        assert f"$ raydino {verb} " in first
    for task, key in (("findings", "auroc"), ("lungs", "dice"), ("report", "balanced_accuracy")):
        metrics = json.loads((out / f"predictions-{task}" / "metrics.json").read_text())
        assert 0 <= metrics["overall"][key] <= 1

    written = {path: path.stat().st_mtime_ns for path in out.rglob("artifact.json")}
    assert run(arguments) == 0
    second = capsys.readouterr().out
    assert second.count("(done before)") == first.count("$ raydino ")
    assert written == {path: path.stat().st_mtime_ns for path in out.rglob("artifact.json")}


def test_an_archive_without_labels_still_gives_an_encoder(configs, tmp_path, capsys):
    assert run(["synth", str(tmp_path / "made"), "--patients", "20", "--seed", "3"]) == 0
    (tmp_path / "made" / "archive").rename(tmp_path / "alone")
    words = ["demo", "--archive", str(tmp_path / "alone"), "--out", str(tmp_path / "demo"), "--configs", str(configs)]
    assert run(words) == 0
    assert (tmp_path / "demo" / "encoder" / "model.safetensors").is_file()
    assert "the archive brings no labels: findings is left out" in " ".join(capsys.readouterr().out.split())


def test_companions_lie_in_the_archive_or_beside_it(tmp_path):
    archive = tmp_path / "archive"
    (archive / "masks").mkdir(parents=True)
    (tmp_path / "labels.csv").touch()
    (tmp_path / "notes.csv").touch()
    assert find_companions(archive) == {
        "--labels": tmp_path / "labels.csv",
        "--masks": archive / "masks",
        "--reports": tmp_path / "notes.csv",
    }
    with pytest.raises(UserError, match="no such directory"):
        find_companions(tmp_path / "none")
