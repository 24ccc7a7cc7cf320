"""The moving-average centre by hand: what centres a step, and what enters it."""

import pytest
import torch

from raydino.config import Config, parse_config
from raydino.errors import UserError
from raydino.ssl.centring import CentringConfig, MovingAverageConfig, SinkhornConfig, make_centring
from raydino.ssl.sinkhorn import sinkhorn_knopp


def scores(seed: int, n: int = 5) -> torch.Tensor:
    return torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_step_is_centred_by_the_steps_before_it():
    centring = make_centring(MovingAverageConfig(momentum=0.9), 3).double()
    centre = torch.zeros(3, dtype=torch.float64)
    for step in range(4):
        given = scores(step)
        expected = torch.stack([torch.exp((row - centre) / 0.3) for row in given])
        expected = expected / expected.sum(dim=1, keepdim=True)
        torch.testing.assert_close(centring.targets(given, 0.3), expected, atol=1e-14, rtol=0)
        centring.end_step()
        centre = 0.9 * centre + 0.1 * sum(given) / len(given)
        torch.testing.assert_close(centring.centre, centre, atol=1e-14, rtol=0)


def test_a_step_left_out_leaves_no_trace():
    centring = make_centring(MovingAverageConfig(), 3).double()
    centring.targets(torch.full((2, 3), torch.nan, dtype=torch.float64), 0.1)
    centring.targets(scores(0), 0.1)
    centring.end_step()
    torch.testing.assert_close(centring.centre, 0.1 * scores(0).mean(dim=0))
    before = centring.centre.clone()
    centring.end_step()  # without targets in between
    assert torch.equal(centring.centre, before)


def test_a_batch_without_samples_leaves_the_centre():
    centring = make_centring(MovingAverageConfig(), 3).double()
    centring.targets(scores(0), 0.1)
    centring.end_step()
    before = centring.centre.clone()
    assert centring.targets(scores(0)[:0], 0.1).shape == (0, 3)
    centring.end_step()
    torch.testing.assert_close(centring.centre, before)


def test_the_centre_is_saved_and_sinkhorn_saves_nothing():
    assert list(make_centring(MovingAverageConfig(), 3).state_dict()) == ["centre"]
    assert list(make_centring(SinkhornConfig(), 3).state_dict()) == []


def test_sinkhorn_takes_its_iterations():
    got = make_centring(SinkhornConfig(iterations=7), 3).targets(scores(1), 0.2)
    torch.testing.assert_close(got, sinkhorn_knopp(scores(1), 0.2, n_iterations=7))
    assert not torch.equal(got, sinkhorn_knopp(scores(1), 0.2))


class Holder(Config):
    centring: CentringConfig


def test_configs():
    made = parse_config({"centring": {"kind": "moving_average", "momentum": 0.5}}, Holder).centring
    assert made == MovingAverageConfig(momentum=0.5)
    with pytest.raises(UserError, match="unknown key.*momentum"):
        parse_config({"centring": {"kind": "sinkhorn", "momentum": 0.5}}, Holder)
    with pytest.raises(UserError, match="centring"):
        parse_config({"centring": {"kind": "none"}}, Holder)
