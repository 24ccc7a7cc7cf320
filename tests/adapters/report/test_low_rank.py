from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from adapters.report.low_rank import LowRank, add_low_rank, merge_low_rank
from raydino.errors import UserError


def _model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.ModuleDict({"q_proj": nn.Linear(6, 10), "k_proj": nn.Linear(6, 10, bias=False)})
        return nn.ModuleDict({"attention": first, "c_attn": Conv1D(4, 6), "norm": nn.LayerNorm(6)})


@pytest.mark.parametrize("name", ["attention.q_proj", "attention.k_proj", "c_attn"])
def test_an_update_is_the_papers_product_and_merging_changes_no_output(name: str) -> None:
    model, features = _model(), torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(1))
    base = model.get_submodule(name)
    before = base(features)
    assert add_low_rank(model, [f"*{name}"], rank=2, alpha=3.0) == [name]
    module: Any = model.get_submodule(name)
    assert torch.equal(module(features), before)  # B is zero at first
    with torch.no_grad():
        module.up.normal_(generator=torch.Generator().manual_seed(2))
    updated = module(features)
    expected = before + (3.0 / 2) * features @ module.down.T @ module.up.T
    torch.testing.assert_close(updated, expected)
    assert float((updated - before).detach().abs().max()) > 0.1
    merge_low_rank(model)
    assert not any(isinstance(part, LowRank) for part in model.modules())
    torch.testing.assert_close(model.get_submodule(name)(features), updated)


def test_only_the_update_is_trained_and_only_where_the_pattern_fits() -> None:
    model = _model().requires_grad_(False)
    assert add_low_rank(model, ["*.?_proj"], rank=1, alpha=1.0) == ["attention.q_proj", "attention.k_proj"]
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {f"attention.{layer}_proj.{part}" for layer in "qk" for part in ("down", "up")}
    module: Any = model.get_submodule("attention.q_proj")
    module(torch.ones(1, 6)).sum().backward()
    assert module.base.weight.grad is None
    assert float(module.up.grad.abs().max()) > 0


def test_a_pattern_that_fits_nothing_is_named_with_what_there_is() -> None:
    with pytest.raises(UserError, match=r"fits the pattern 'query'.*c_attn, k_proj, q_proj"):
        add_low_rank(_model(), ["*.q_proj", "query"], rank=1, alpha=1.0)
