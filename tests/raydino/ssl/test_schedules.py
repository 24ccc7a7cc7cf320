"""Schedules at their ends and in the middle."""

import pytest

from raydino.ssl.schedules import cosine, linear_then_constant, warmup_cosine


@pytest.mark.parametrize(("step", "value"), [(0, 0.994), (50, 0.997), (100, 1.0), (200, 1.0)])
def test_cosine(step, value):
    assert cosine(step, start=0.994, end=1.0, n_steps=100) == pytest.approx(value)


@pytest.mark.parametrize(("step", "value"), [(0, 0.04), (15, 0.055), (30, 0.07), (99, 0.07)])
def test_linear_then_constant(step, value):
    assert linear_then_constant(step, start=0.04, end=0.07, warmup_steps=30) == pytest.approx(value)


@pytest.mark.parametrize(("step", "value"), [(0, 0.0), (5, 0.5), (10, 1.0), (60, 0.55), (110, 0.1)])
def test_warmup_cosine(step, value):
    assert warmup_cosine(step, peak=1.0, end=0.1, warmup_steps=10, n_steps=110) == pytest.approx(value)
