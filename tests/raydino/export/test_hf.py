"""Hugging Face's layout: transformers' tokens equal ours."""

import json

from raydino.encoder import Encoder
from raydino.export.hf import export_hf


def test_same_tokens(any_encoder, tmp_path):
    assert export_hf(any_encoder, tmp_path / "hf") <= 1e-5
    encoder = Encoder.load(tmp_path / "hf")
    assert encoder.spec == Encoder.load(any_encoder).spec
    config = json.loads((tmp_path / "hf/config.json").read_text())
    assert config["num_channels"] == encoder.vit.config.channels
    preprocessor = json.loads((tmp_path / "hf/preprocessor_config.json").read_text())
    assert len(preprocessor["image_mean"]) == encoder.vit.config.channels
