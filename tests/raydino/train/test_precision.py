"""bf16 only where it is asked for or native."""

import pytest
import torch

from raydino.errors import UserError
from raydino.train.precision import autocast, has_bf16, pick_device

CPU = torch.device("cpu")


def test_fp32_and_bf16():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(precision, CPU):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_auto_follows_the_machine():
    with autocast("auto", CPU):
        dtype = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert dtype == (torch.bfloat16 if has_bf16(CPU) else torch.float32)


def test_pick_device():
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "message"), [("tpu9", "there is no device 'tpu9'"), ("meta", "'meta' is not supported")]
)
def test_no_such_device(name, message):
    with pytest.raises(UserError, match=message):
        pick_device(name)


def test_each_process_has_its_own_gpu(monkeypatch):
    """As on a machine with two GPUs; there is none here."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert pick_device("auto", local_rank=1) == pick_device("cuda", local_rank=1) == torch.device("cuda", 1)
    assert chosen == [1, 1]
    with pytest.raises(UserError, match="GPU 2 was asked for, and this machine has 2; start no more processes"):
        pick_device("auto", local_rank=2)


def test_cuda_asked_for_and_absent(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="'cuda' was asked for, and torch sees no GPU"):
        pick_device("cuda")
