"""Every attention backend equals softmax(q·kᵀ/√d)·v in float64."""

import pytest
import torch

from raydino.errors import UserError
from raydino.nn.attention import choose, plain, sdpa


@pytest.mark.parametrize("backend", [plain, sdpa])
def test_backend_equals_the_formula(backend):
    query, key, value = torch.randn(3, 2, 4, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.empty_like(value)
    for b in range(2):
        for h in range(4):
            weights = torch.exp(query[b, h] @ key[b, h].T / 8**0.5)
            expected[b, h] = weights @ value[b, h] / weights.sum(dim=1, keepdim=True)
    torch.testing.assert_close(backend(query, key, value), expected, atol=1e-12, rtol=0)


def test_auto_is_plain_on_a_cpu():
    assert choose("auto", torch.device("cpu")) is plain
    assert choose("sdpa", torch.device("cpu")) is sdpa


def test_an_unknown_backend_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'sdpa'"):
        choose("sdpaa", torch.device("cpu"))
