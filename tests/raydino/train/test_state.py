"""State by name: what is kept, what comes back, and what does not fit."""

import pytest
import torch
from torch import nn

from raydino.errors import UserError
from raydino.train.checkpoint import Checkpoints
from raydino.train.state import restore, state_tensors


class Method(nn.Module):
    def __init__(self, width: int = 3, *, seed: int = 0, extra: bool = False) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.student = nn.Linear(width, 2)
        self.none = nn.Parameter(torch.zeros(0))
        self.register_buffer("centre", torch.full((2,), float(seed)))
        if extra:
            self.extra = nn.Parameter(torch.ones(1))


def trained(method: Method, steps: int) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW(method.student.parameters(), lr=0.1, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        method.student(torch.ones(1, method.student.in_features)).square().sum().backward()
        optimizer.step()
    return optimizer


def checkpoint(tmp_path, method, optimizer):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state_tensors(method, optimizer), {})
    checkpoints.wait()
    return tmp_path / "step-00000001"


def test_everything_comes_back(tmp_path):
    method = Method(seed=1)
    optimizer = trained(method, 3)
    path = checkpoint(tmp_path, method, optimizer)
    other = Method(seed=2)
    fresh = trained(other, 0)
    restore(path, other, fresh)
    assert torch.equal(other.centre, method.centre)
    for one, two in zip(method.student.parameters(), other.student.parameters(), strict=True):
        assert torch.equal(one, two)
        assert set(optimizer.state[one]) == set(fresh.state[two]) == {"step", "exp_avg", "exp_avg_sq"}
        for kind, value in optimizer.state[one].items():
            assert torch.equal(value, fresh.state[two][kind]), kind
    assert fresh.param_groups[0]["lr"] == 0.1


def test_before_the_first_step_there_are_no_moments(tmp_path):
    method = Method()
    path = checkpoint(tmp_path, method, trained(method, 0))
    other = Method(seed=2)
    optimizer = trained(other, 0)
    restore(path, other, optimizer)
    assert not optimizer.state
    assert torch.equal(other.student.weight, method.student.weight)


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        (Method(4), Method(3), r"student.weight is \[2, 4\], not \[2, 3\]"),
        (Method(), Method(extra=True), r"extra is not there, not \[1\]"),
        (Method(extra=True), Method(), "there is no method.extra here"),
    ],
)
def test_another_architecture(tmp_path, there, here, message):
    path = checkpoint(tmp_path, there, trained(there, 1))
    before = here.student.weight.clone()
    with pytest.raises(UserError, match=f"another architecture: .*{message}"):
        restore(path, here, trained(here, 0))
    assert torch.equal(here.student.weight, before)
