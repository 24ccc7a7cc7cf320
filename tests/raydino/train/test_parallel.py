"""What ``auto`` stands for, and a mesh that does not fit. That the modes agree: tests/raydino/ssl/test_ranks.py."""

import pytest
import torch
from torch import nn

from raydino.errors import UserError
from raydino.train import parallel
from raydino.train.parallel import LARGE, chosen_mode, is_sliced, parallelise, whole, whole_state


@pytest.mark.parametrize(
    ("mode", "n_parameters", "ranks", "here", "taken"),
    [
        ("auto", LARGE, 1, 1, "one"),
        ("fsdp", LARGE, 1, 1, "one"),
        ("auto", LARGE - 1, 8, 8, "ddp"),
        ("auto", LARGE, 8, 8, "fsdp"),
        ("auto", LARGE, 16, 8, "hybrid"),
        ("ddp", LARGE, 16, 8, "ddp"),
        ("fsdp", 1, 16, 8, "fsdp"),
    ],
)
def test_auto(monkeypatch, mode, n_parameters, ranks, here, taken):
    monkeypatch.setattr(parallel, "world_size", lambda: ranks)
    monkeypatch.setattr(parallel, "local_world_size", lambda: here)
    assert chosen_mode(mode, n_parameters) == taken


def test_groups_that_do_not_divide(monkeypatch):
    monkeypatch.setattr(parallel, "world_size", lambda: 6)
    with pytest.raises(UserError, match=r"6 processes do not divide into groups of 4; set runtime\.shard_ranks"):
        parallelise(nn.Linear(1, 1), nn.Linear(1, 1), "hybrid", device=torch.device("cpu"), shard_ranks=4)


def test_one_process_stays_as_it_is():
    student, teacher = nn.Linear(2, 1), nn.Linear(2, 1)
    assert parallelise(student, teacher, "auto", device=torch.device("cpu")) == "one"
    assert type(student) is nn.Linear
    assert not is_sliced(student)
    assert whole(student.weight) is student.weight
    assert whole_state(student).keys() == {"weight", "bias"}
