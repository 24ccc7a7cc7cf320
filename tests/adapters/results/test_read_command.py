"""``raydino read``: films one by one, results that stay the same, faults of one line, no name on the screen."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from highdicom.seg import segread
from highdicom.sr import srread
from pydicom import dcmread

from adapters.bundle import write_bundle
from adapters.read_command import read
from adapters.registry import ADAPTERS
from raydino import cli
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.encoder import EncoderCard
from raydino.artifacts.header import creating
from raydino.config import parse_config
from raydino.dicom.pixels import PixelRecipe
from raydino.encoder import Encoder, save_encoder
from raydino.nn.vit import VisionTransformer, ViTConfig


@pytest.fixture
def bundles(
    dataset: Dataset, classification_values: dict[str, Any], segmentation_values: dict[str, Any], tmp_path: Path
) -> list[str]:
    """An encoder of films 40 pixels wide and two adapters, all with weights at random, as arguments."""
    config = ViTConfig(image_size=32, patch_size=8, embed_dim=32, depth=2, n_heads=2, n_registers=1)
    vit = VisionTransformer(config).initialise(torch.Generator().manual_seed(3))
    card = EncoderCard(vit=config.resolved(), pixels=PixelRecipe(40).resolved(), mean=0.4, std=0.25, steps=0)
    save_encoder(tmp_path / "encoder", vit, card, inputs={})
    encoder = Encoder.load(tmp_path / "encoder")
    arguments = ["--encoder", str(tmp_path / "encoder")]
    for values in (classification_values, segmentation_values):
        cls = ADAPTERS.get(str(values["kind"]))
        adapter = cls.begin(parse_config(values, cls.config_model, where="test"), encoder.spec, dataset)
        adapter.keep(0)
        adapter.thresholds = dict.fromkeys(adapter.labels, 0.5)
        with creating(tmp_path / adapter.task, ADAPTER, config=adapter.config.resolved()) as directory:
            write_bundle(directory, adapter, {})
        arguments += ["--adapter", str(tmp_path / adapter.task)]
    return arguments


@pytest.fixture(autouse=True)
def _the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the entry point brings it, also where the package was installed before the verb was there."""
    monkeypatch.setitem(cli.COMMANDS._builtin, "read", f"{read.__module__}:read")


def test_films_become_files_and_a_bad_one_is_one_line(
    write_film: Any, bundles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    write_film("films/one.dcm")
    write_film("films/two.dcm", SOPInstanceUID="2.25.3001", PatientOrientation=["F", "R"])
    write_film("films/anonymous.dcm", SeriesInstanceUID=None)
    (films / "notes.txt").write_text("PLANTED note")
    missing = tmp_path / "missing.dcm"
    assert cli.run(["read", str(films), str(missing), *bundles, "--out", str(out)]) == 2
    told = capsys.readouterr()
    faults = told.err.strip().splitlines()
    assert len(faults) == 3
    assert all(line.startswith("raydino: ") for line in faults)
    assert all(any(word in line for line in faults) for word in ("SeriesInstanceUID", "notes.txt", "missing.dcm"))
    assert "2 of 5 films read. Research use only" in told.out
    assert not any(word in told.out + told.err for word in ("Plant", "PLANTED", "2.25."))
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(files) == 8
    for path in out.glob("*.json"):
        record = json.loads(path.read_text())
        assert (record["schema"], record["version"]) == ("raydino.reading", 1)
        assert len(record["model"]["adapters"]) == 2
        assert record["structures"]["lungs"]["code"] == {"value": "39607008", "scheme": "SCT", "meaning": "Lung"}
        assert "Planté" not in path.read_text()
        read_back = segread(out / record["files"]["segmentation"])
        assert (read_back.Rows, read_back.Columns, read_back.number_of_segments) == (96, 160, 2)
        groups = srread(out / record["files"]["report"]).content.get_image_measurement_groups()
        assert dcmread(out / record["files"]["document"]).EncapsulatedDocument.startswith(b"%PDF")
        assert len(groups) == len(record["findings"]) == 4
        for group, finding in zip(groups, record["findings"].values(), strict=True):
            assert group.get_measurements()[0].value == pytest.approx(finding["probability"])
            assert finding["called"] == ("present" if finding["probability"] >= 0.5 else "absent")
    assert cli.run(["read", str(films / "one.dcm"), str(films / "two.dcm"), *bundles, "--out", str(out)]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_without_highdicom_it_says_what_to_install(
    bundles: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("adapters.results.frame.find_spec", lambda name: None)
    assert cli.run(["read", "film.dcm", *bundles, "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'raydino[reading-room]'" in capsys.readouterr().err
