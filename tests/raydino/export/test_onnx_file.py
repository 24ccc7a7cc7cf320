"""ONNX: onnxruntime's tokens equal ours for any number of films."""

from importlib.util import find_spec

import onnxruntime
import pytest
import torch

from raydino.artifacts.encoder import ONNX_EXPORT
from raydino.artifacts.header import read_header
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.export.onnx_file import export_onnx, run_onnx
from raydino.testing.tiny import tiny_encoder


def test_same_tokens_for_any_number_of_films(any_encoder, tmp_path):
    assert export_onnx(any_encoder, tmp_path / "onnx") <= 1e-5
    encoder = Encoder.load(any_encoder)
    run = run_onnx(tmp_path / "onnx" / "encoder.onnx")
    images = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(9))
    found, expected = run(images), encoder(images)
    torch.testing.assert_close(found["cls"], expected.cls, atol=1e-5, rtol=0)
    torch.testing.assert_close(found["patches"], expected.patches, atol=1e-5, rtol=0)
    assert ("registers" in found) == bool(encoder.spec.n_registers)
    header = read_header(tmp_path / "onnx", ONNX_EXPORT)
    assert header.inputs == {"encoder": encoder.spec.fingerprint}


def test_names_shapes_and_equal_bytes(tmp_path):
    tiny_encoder(tmp_path / "encoder")
    for name in ("one", "other"):
        export_onnx(tmp_path / "encoder", tmp_path / name)
    session = onnxruntime.InferenceSession(tmp_path / "one" / "encoder.onnx")
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("images", ["batch", 1, 32, 32])]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [
        ("cls", ["batch", 32]),
        ("registers", ["batch", 1, 32]),
        ("patches", ["batch", 4, 4, 32]),
    ]
    graph = (tmp_path / "one" / "encoder.onnx").read_bytes()
    assert graph == (tmp_path / "other" / "encoder.onnx").read_bytes()
    assert b"/raydino/" not in graph


def test_large_weights_lie_beside_the_graph(tmp_path, monkeypatch):
    tiny_encoder(tmp_path / "encoder")
    monkeypatch.setattr("raydino.export.onnx_file.ONE_FILE_BYTES", 1)
    assert export_onnx(tmp_path / "encoder", tmp_path / "onnx") <= 1e-5
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {
        "artifact.json",
        "encoder.json",
        "encoder.onnx",
        "encoder.onnx.data",
    }


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "raydino.export.onnx_file.find_spec", lambda name: None if name == "onnxscript" else find_spec(name)
    )
    with pytest.raises(UserError, match=r'export to ONNX needs onnxscript; .* pip install "raydino\[export\]"'):
        export_onnx(tmp_path / "encoder", tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
