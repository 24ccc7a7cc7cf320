"""The proof of an export fails for other tokens, other shapes and what is no number."""

import pytest
import torch

from raydino.export.proof import largest_difference
from raydino.testing.tiny import tiny_encoder


@pytest.fixture
def encoder(tmp_path):
    return tiny_encoder(tmp_path / "encoder")


def test_its_own_tokens(encoder):
    assert largest_difference(encoder, lambda images: encoder(images)._asdict()) == 0.0


@pytest.mark.parametrize("name", ["cls", "registers", "patches"])
def test_other_tokens(encoder, name):
    def run(images, change):
        tokens = encoder(images)._asdict()
        return tokens | {name: change(tokens[name])}

    largest = float(encoder(torch.rand(5, 1, 32, 32)).patches.abs().max())
    assert 0 < largest_difference(encoder, lambda images: run(images, lambda t: t + 2e-6)) < 3e-6
    for change in (lambda t: t + 1e-4 * largest, lambda t: t * float("nan")):
        with pytest.raises(RuntimeError, match=f"gives other {name} "):
            largest_difference(encoder, lambda images, change=change: run(images, change))
    with pytest.raises(RuntimeError, match=f"gives {name} of another shape"):
        largest_difference(encoder, lambda images: run(images, lambda t: t[:1, None]))
