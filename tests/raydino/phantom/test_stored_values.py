"""Every encoding must display the same film; test_dicom_writer checks it through the file."""

from __future__ import annotations

import numpy as np
import pytest

from raydino.phantom.sites import SITES
from raydino.phantom.stored_values import VOI_KINDS, Encoding, sample_encoding, store

RAMP = np.linspace(0.0, 1.0, 5000, dtype=np.float32).reshape(50, 100)


def test_stored_values_use_the_bits_and_turn_around_in_monochrome1() -> None:
    plain = store(RAMP, Encoding(False, 10, False, "none", False, "ExplicitVRLittleEndian", 0.0, 1.0))
    inverted = store(RAMP, Encoding(False, 10, True, "none", False, "ExplicitVRLittleEndian", 0.0, 1.0))
    assert (plain.values.min(), plain.values.max()) == (0, 1023)
    np.testing.assert_array_equal(plain.values.astype(int) + inverted.values, 1023)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_a_linear_window_spans_the_used_range(bits: int) -> None:
    film = store(RAMP, Encoding(True, bits, False, "windows", False, "ExplicitVRLittleEndian", 0.05, 0.9))
    first = film.windows[0]
    assert len(film.windows) == 3
    lowest = first.center - 0.5 - (first.width - 1.0) / 2.0
    assert lowest == pytest.approx(film.values.min(), abs=1.0)
    assert lowest + first.width - 1.0 == pytest.approx(film.values.max(), abs=1.0)


def test_a_modality_table_rises_and_ends_at_the_top() -> None:
    film = store(RAMP, Encoding(False, 12, False, "window", True, "ExplicitVRLittleEndian", 0.0, 1.0))
    assert film.modality_lut is not None
    assert film.modality_lut.shape == (4096,)
    assert (np.diff(film.modality_lut.astype(int)) >= 0).all()
    assert film.modality_lut[-1] == 65535


def test_draws_respect_what_the_standard_allows() -> None:
    encodings = [sample_encoding(np.random.default_rng([2, seed]), SITES[seed % 2]) for seed in range(1500)]
    assert {encoding.voi for encoding in encodings} == set(VOI_KINDS)
    assert {encoding.bits for encoding in encodings} == {10, 12, 16}
    assert len({encoding.transfer_syntax for encoding in encodings}) == 5
    assert not any(encoding.is_dx and (encoding.voi == "none" or encoding.modality_lut) for encoding in encodings)
    assert {True, False} == {encoding.monochrome1 for encoding in encodings if encoding.is_dx}
