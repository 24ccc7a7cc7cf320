"""Speed of a step from its times."""

import time

import pytest
import torch

from raydino.train.pace import Pace


def test_of_a_step(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 12.0)
    metrics = Pace(32, torch.device("cpu")).measure(started=10.0, waited=0.5)
    assert metrics == {"seconds_per_step": 2.0, "images_per_second": 16.0, "data_wait_share": 0.25}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_memory_of_a_gpu():
    assert Pace(1, torch.device("cuda", 0)).measure(0.0, 0.0)["peak_memory_gib"] >= 0
