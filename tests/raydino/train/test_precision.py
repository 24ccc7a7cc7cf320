"""bf16 only where it is asked for or native."""

import torch

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
