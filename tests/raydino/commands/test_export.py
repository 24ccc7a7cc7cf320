"""The formats from the command line."""

import pytest

from raydino.artifacts.header import read_header
from raydino.cli import run
from raydino.testing.tiny import tiny_encoder


@pytest.mark.parametrize(
    ("to", "schema", "file"),
    [
        ("hf", "encoder", "model.safetensors"),
        ("onnx", "graph_onnx", "encoder.onnx"),
        ("torch", "graph_torch", "encoder.pt2"),
    ],
)
def test_formats(to, schema, file, tmp_path, capsys):
    tiny_encoder(tmp_path / "encoder")
    words = ["export", str(tmp_path / "encoder"), "--to", to, "--out", str(tmp_path / "out")]
    assert run(words) == 0
    assert "tokens differ from ours by at most" in capsys.readouterr().out
    assert read_header(tmp_path / "out").schema == schema
    assert (tmp_path / "out" / file).is_file()
    assert run(words) == 2
    assert "already exists" in capsys.readouterr().err


def test_no_encoder(tmp_path, capsys):
    assert run(["export", str(tmp_path), "--to", "torch", "--out", str(tmp_path / "out")]) == 2
    assert "it holds no artifact.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
