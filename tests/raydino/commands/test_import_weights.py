"""Released weights from the command line to an adapter: import, embed, fit, export."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from transformers import Dinov2Config, Dinov2Model

from raydino.artifacts.header import read_header
from raydino.cli import run
from raydino.encoder import Encoder
from raydino.testing.tiny import tiny_dataset

CONFIG = Path(__file__).parents[3] / "configs/tiny/classification.yaml"


@pytest.fixture
def rad_dino(tmp_path):
    """A random model in the files of RAD-DINO: a Dinov2 directory with its own normalisation."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Dinov2Config(hidden_size=64, num_hidden_layers=2, num_attention_heads=1, image_size=56)
        Dinov2Model(config).save_pretrained(tmp_path / "rad-dino")
    preprocessor = {"image_mean": [0.5307] * 3, "image_std": [0.2583] * 3, "rescale_factor": 1 / 255}
    (tmp_path / "rad-dino/preprocessor_config.json").write_text(json.dumps(preprocessor))
    return tmp_path / "rad-dino"


@pytest.mark.parametrize("channels", [1, 3])
def test_from_weights_to_an_adapter(rad_dino, tmp_path, channels, capsys):
    encoder, features = tmp_path / "encoder", tmp_path / "features"
    assert run(["import-weights", str(rad_dino), "--out", str(encoder), "--channels", str(channels)]) == 0
    said = capsys.readouterr().out
    assert f"ViT/14 of width 64 and 2 blocks for 56 pixels, mlp, 0 registers, {channels} of 3" in said
    assert Encoder.load(encoder).card.mean == (0.5307 if channels == 1 else [0.5307] * 3)
    dataset = tiny_dataset(tmp_path / "dataset")
    assert run(["embed", str(dataset.path), "--encoder", str(encoder), "--out", str(features)]) == 0
    values = yaml.safe_load(CONFIG.read_text())
    values["recipe"] |= {"epochs": 2, "labels": "all"}
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(values))
    words = ["--data", str(dataset.path), "--encoder", str(encoder)]
    adapter = tmp_path / "adapter"
    assert run(["adapt", "fit", str(tmp_path / "fit.yaml"), *words, "--out", str(adapter)]) == 0
    words = [str(adapter), *words, "--features", str(features), "--out", str(tmp_path / "predictions")]
    assert run(["adapt", "predict", *words]) == 0
    assert read_header(tmp_path / "predictions").inputs["encoder"] == read_header(encoder).fingerprint
    assert run(["inspect", str(encoder)]) == 0
    shown = capsys.readouterr().out
    assert "imported from" in shown
    assert "films of any dataset are taken" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mean", "a,b"], "--mean 'a,b' is no list of numbers; --mean 0.485,0.456,0.406"),
        (["--mean", "0.5,0.5"], "rad-dino: 2 values of mean for 3 channels"),
        (["--image-size", "60"], "rad-dino: image size 60 is no multiple of the patch size 14; --image-size 56 or 70"),
        (["--channels", "2"], "rad-dino: has 3 channels, not 2"),
    ],
)
def test_a_fault_is_one_line(rad_dino, tmp_path, words, message, capsys):
    assert run(["import-weights", str(rad_dino), "--out", str(tmp_path / "encoder"), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "encoder").exists()


def test_what_is_there_is_not_replaced_unasked(rad_dino, tmp_path, capsys):
    words = ["import-weights", str(rad_dino), "--out", str(tmp_path / "encoder")]
    assert run(words) == 0
    assert run(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert run([*words, "--overwrite", "--image-size", "112", "--position-resize", "offset"]) == 0
    loaded = Encoder.load(tmp_path / "encoder")
    assert (loaded.spec.image_size, loaded.vit.config.position_resize) == (112, "offset")
