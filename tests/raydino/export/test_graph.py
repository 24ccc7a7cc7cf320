"""torch.export: the reloaded graph gives our tokens, without raydino."""

import subprocess
import sys

import pytest
import torch

from raydino.encoder import Encoder
from raydino.export.graph import export_torch
from raydino.testing.tiny import tiny_encoder


def test_same_tokens_for_any_number_of_films(any_encoder, tmp_path):
    assert export_torch(any_encoder, tmp_path / "torch") <= 1e-5
    encoder = Encoder.load(any_encoder)
    run = torch.export.load(tmp_path / "torch" / "encoder.pt2").module()
    images = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(9))
    found, expected = run(images), encoder(images)
    torch.testing.assert_close(found["cls"], expected.cls, atol=1e-5, rtol=0)
    torch.testing.assert_close(found["patches"], expected.patches, atol=1e-5, rtol=0)
    with pytest.raises(AssertionError, match="Guard failed"):
        run(torch.zeros(1, 1, 48, 48))


def test_equal_bytes_that_open_without_raydino(tmp_path):
    tiny_encoder(tmp_path / "encoder")
    for name in ("one", "other"):
        export_torch(tmp_path / "encoder", tmp_path / name)
    assert (tmp_path / "one/encoder.pt2").read_bytes() == (tmp_path / "other/encoder.pt2").read_bytes()
    code = (
        "import sys, torch; sys.modules['raydino'] = None;"
        "print(torch.export.load(sys.argv[1]).module()(torch.zeros(3, 1, 32, 32))['cls'].shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "one/encoder.pt2"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "torch.Size([3, 32])"
