"""The teacher is an exponential moving average."""

import torch
from torch import nn

from raydino.ssl.teacher import update_teacher


def test_moves_by_one_minus_momentum():
    teacher, student = nn.Linear(1, 1, bias=False).double(), nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(teacher.weight, 1.0)
    nn.init.constant_(student.weight, 3.0)
    update_teacher(teacher, student, 0.9)
    torch.testing.assert_close(teacher.weight.data, torch.tensor([[1.2]]).double())
    update_teacher(teacher, student, 1.0)
    torch.testing.assert_close(teacher.weight.data, torch.tensor([[1.2]]).double())
