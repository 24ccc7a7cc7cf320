"""Compiled loops against numpy and torch."""

import numpy as np
import pytest
import torch

from raydino.curation import kernels, loops


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


def test_squared_distances():
    rng = np.random.default_rng(2)
    left, right = rng.standard_normal((2, 30, 37)).astype(np.float32)
    right[4] = left[3]
    rows, others = rng.integers(30, size=(2, 200))
    rows[0], others[0] = 3, 4
    squared = np.empty(200, np.float32)
    loops.squared_between(left, rows, right, others, squared)
    expected = ((left[rows].astype(np.float64) - right[others]) ** 2).sum(1)
    np.testing.assert_allclose(squared, expected, rtol=1e-5)
    assert squared[0] == 0


@pytest.mark.parametrize("known", [True, False])
def test_a_contest_is_the_same_by_loops_and_by_operations(known, monkeypatch):
    """On a lattice, where distances are equal, and with an own centroid or one that is not here."""
    rng = np.random.default_rng(6)
    vectors, centroids = (torch.from_numpy(rng.integers(0, 3, (n, 4)).astype(np.float32)) for n in (200, 30))
    rows = torch.from_numpy(np.sort(rng.integers(200, size=500)))
    rivals = torch.from_numpy(rng.integers(30, size=500))
    own = torch.from_numpy(rng.integers(30, size=200))
    found = []
    for on_cpu in (True, False):
        monkeypatch.setattr(kernels, "_on_cpu", lambda _, on_cpu=on_cpu: on_cpu)
        squared = kernels.pair_distances(vectors, torch.arange(200), centroids, own)
        found.append(kernels.contest(vectors, centroids, rows, rivals, own if known else None, squared))
    assert all(torch.equal(a, b) for a, b in zip(found[0][:2], found[1][:2], strict=True))
    torch.testing.assert_close(found[0][2], found[1][2])
    distances = ((vectors[:, None].double() - centroids.double()) ** 2).sum(2)
    expected = {}
    for row in rows.unique().tolist():
        candidates = rivals[rows == row].tolist() + ([int(own[row])] if known else [])
        nearest = min(candidates, key=lambda c, row=row: (float(distances[row, c]), c))
        if nearest != own[row] if known else distances[row, nearest] < distances[row, own[row]]:
            expected[row] = nearest
    assert dict(zip(found[0][0].tolist(), found[0][1].tolist(), strict=True)) == expected


def test_where_machine_code_cannot_be_kept_it_is_compiled_anew(monkeypatch):
    compile_ = loops.numba.njit

    def nowhere(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(**options)

    monkeypatch.setattr(loops.numba, "njit", nowhere)
    assert loops.compiled()(lambda number: number + 1)(1) == 2
