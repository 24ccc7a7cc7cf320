"""Compiled loops against numpy and torch."""

import numpy as np
import pytest
import torch

from raydino.curation import loops


def test_bf16_is_that_of_torch():
    """Numbers halfway between two bf16, negative, tiny, huge and 0."""
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((40, 9)) * 10.0 ** rng.uniform(-38, 38, (40, 9))).astype(np.float32)
    vectors[0] = np.array([0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1e-40, 3e38, 256.5, 257], np.float32)
    level = rng.standard_normal(40).astype(np.float32)
    origin = np.where(np.arange(9) % 2 == 0, 0, rng.standard_normal(9)).astype(np.float32)
    origin[1] = 0
    bits = np.full((41, 14), 7, np.uint16)
    loops.write_bf16(bits, vectors, origin, level, 11)
    expected = (torch.from_numpy(vectors) - torch.from_numpy(origin)).bfloat16().view(torch.uint16).numpy()
    assert np.array_equal(bits[:40, :9], expected)
    np.testing.assert_allclose(torch.from_numpy(bits[:40, -3:]).view(torch.bfloat16).float().sum(1), level, rtol=2**-23)
    assert (bits[40:] == 7).all()
    assert (bits[:, 9:11] == 7).all()


def test_norms_and_what_bf16_loses():
    rng = np.random.default_rng(3)
    vectors, origin = rng.standard_normal((20, 33)).astype(np.float32), rng.standard_normal(33).astype(np.float32)
    norm, lost = np.empty((2, 20), np.float32)
    loops.measure(vectors, origin, norm, lost)
    centred = torch.from_numpy(vectors - origin)
    np.testing.assert_allclose(norm, centred.double().norm(dim=1), rtol=1e-6)
    np.testing.assert_allclose(lost, (centred - centred.bfloat16().float()).double().norm(dim=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
@pytest.mark.parametrize("least", [-50, 40, 90, 101])
def test_what_is_at_least(dtype, least):
    rng = np.random.default_rng(1)
    numbers = rng.integers(-100, 101, (50, 24)).astype(dtype)
    limits = np.full(50, least, dtype)
    limits[:5] = 80
    rows, columns = loops.at_least(numbers, numbers.reshape(50, 3, 8).max(1), limits)
    assert (np.diff(rows) >= 0).all()
    assert sorted(zip(rows, columns, strict=True)) == list(zip(*np.nonzero(numbers >= limits[:, None]), strict=True))


@pytest.mark.parametrize(("dtype", "within"), [(np.float32, 1e-5), (np.float64, 1e-14)])
def test_squared_distances(dtype, within):
    rng = np.random.default_rng(2)
    left, right = rng.standard_normal((2, 30, 37)).astype(np.float32)
    right[4] = left[3]
    rows, others = rng.integers(30, size=(2, 200))
    rows[0], others[0] = 3, 4
    squared = np.empty(200, dtype)
    loops.squared_between(left, rows, right, others, squared)
    expected = ((left[rows].astype(np.float64) - right[others]) ** 2).sum(1)
    np.testing.assert_allclose(squared, expected, rtol=within)
    assert squared[0] == 0


def test_where_machine_code_cannot_be_kept_it_is_compiled_anew(monkeypatch):
    compile_ = loops.numba.njit

    def nowhere(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(**options)

    monkeypatch.setattr(loops.numba, "njit", nowhere)
    assert loops._compiled()(lambda number: number + 1)(1) == 2
