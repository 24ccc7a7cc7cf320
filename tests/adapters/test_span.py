"""Films told by products, against features in float64."""

from typing import Any

import pytest
import torch

import adapters.span
from adapters.batches import FilmFeatures
from adapters.span import InSpan, SpannedFilms, products, spanned_weights
from raydino.encoder import EncoderOutput
from raydino.features import Features

N, M, F = 11, 5, 7


def films(n: int, seed: int) -> FilmFeatures:
    cls = torch.randn(n, F, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    names = [str(film) for film in range(n)]
    return FilmFeatures(
        Features(names, EncoderOutput(cls, torch.empty(n, 0, F), torch.empty(n, 1, 1, F)), (-1,)), names
    )


SHARES = torch.tensor([[0.2, 0.2, 0.2], [0.5, 0.0, 0.0], [1.0, 0.0, 0.3]], dtype=torch.float64)


def parts(output: Any) -> list[torch.Tensor]:
    """Seven columns in three parts."""
    return [output.cls[:, :2], output.cls[:, 2:4], output.cls[:, 4:]]


@pytest.mark.parametrize("tile", [1, 2, 3, 100])
def test_products_are_those_of_all_films_whatever_the_tiles(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters.span, "_TILE_BYTES", tile * 8 * F)
    train, val = films(N, 0), films(M, 1)
    for rows, found in zip((train, val), products(train, val, parts, SHARES), strict=True):
        x, y = (one.read(torch.arange(len(one))).cls for one in (rows, train))
        expected = [
            x @ y.T / 5,
            x[:, :2] @ y[:, :2].T / 2,
            x[:, :2] @ y[:, :2].T + 0.3 * x[:, 4:] @ y[:, 4:].T,
        ]
        torch.testing.assert_close(found, torch.stack(expected, dim=1), rtol=1e-12, atol=1e-12)


def test_steps_of_coefficients_are_steps_of_weights_with_momentum_and_decay() -> None:
    train, val = films(N, 0), films(M, 1)
    x, new = (one.read(torch.arange(len(one))).cls / F**0.5 for one in (train, val))
    found = products(train, val, lambda output: [output.cls], torch.full((1, 1), 1 / F, dtype=torch.float64))
    in_train, in_val = (SpannedFilms(one.sample_ids, its) for one, its in zip((train, val), found, strict=True))
    target = (torch.arange(N * 2).reshape(N, 2) % 3 == 0).double()
    weight = torch.zeros(F, 2, dtype=torch.float64, requires_grad=True)
    coefficients = torch.zeros(N, 2, dtype=torch.float64, requires_grad=True)
    optimisers = [torch.optim.SGD([one], lr=2.0, momentum=0.9, weight_decay=0.01) for one in (weight, coefficients)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        batch = torch.randperm(N, generator=generator)[:4]
        spanned = in_train.read(batch)
        logits = x[batch] @ weight, InSpan.apply(*spanned, coefficients[None])[0]
        for one, optimiser in zip(logits, optimisers, strict=True):
            optimiser.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(one, target[batch]).backward()
            optimiser.step()
    torch.testing.assert_close(in_val.read(torch.arange(M)).products[:, 0] @ coefficients, new @ weight)
    told = spanned_weights(train, lambda output: output.cls / F**0.5, coefficients.detach())
    torch.testing.assert_close(told, weight.detach())
    assert weight.abs().max() > 0.1
